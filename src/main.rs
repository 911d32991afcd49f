//! The program: picks what to do from the environment, descriptor 0 and the command line.

use nginx_mail_auth::fcgi::listener::{self, Listener, WebServers};
use nginx_mail_auth::fcgi::server::Server;
use nginx_mail_auth::live::Live;
use nginx_mail_auth::{cgi, harden, journal};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    harden::process();
    journal::start();
    let args: Vec<String> = std::env::args().collect();
    let config = args
        .iter()
        .position(|a| a == "--config")
        .map(|i| args[i + 1].clone())
        .or(std::env::var("NGINX_MAIL_AUTH_CONFIG").ok())
        .unwrap_or_default();
    let path = Path::new(&config);
    let web_servers: Option<WebServers> = None;
    if let Some(listen) = args.iter().position(|a| a == "--listen") {
        let live = Live::open(path).unwrap_or_else(|p| {
            eprintln!("{}", p[0]);
            std::process::exit(78)
        });
        let service = live.current().unwrap();
        let listeners =
            vec![Listener::bind(&args[listen + 1], service.config().socket_mode).unwrap()];
        Server {
            listeners,
            limits: service.config().fastcgi,
            web_servers,
        }
        .run(live)
        .unwrap();
    } else if let Some(l) = listener::inherited_on_fd0() {
        let live = Live::open_anyway(path);
        let limits = live.current().unwrap().config().fastcgi;
        Server {
            listeners: vec![l],
            limits,
            web_servers,
        }
        .run(live)
        .unwrap();
    } else {
        cgi::run(path).unwrap();
    }
    ExitCode::SUCCESS
}
