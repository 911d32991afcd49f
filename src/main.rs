//! The program: chooses its mode from the environment, descriptor 0 and the command line.

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, IsTerminal as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser as _;
use log::LevelFilter;
use nginx_mail_auth::commands::cli::{Cli, Command, HINT};
use nginx_mail_auth::commands::{self, EX_CONFIG};
use nginx_mail_auth::config::{CONFIG_VARIABLE, Config, ConfigFile};
use nginx_mail_auth::front::cgi;
use nginx_mail_auth::front::fcgi::Limits;
use nginx_mail_auth::front::fcgi::listener::{self, Listener, WebServers};
use nginx_mail_auth::front::fcgi::server::Server;
use nginx_mail_auth::service::OneRequest;
use nginx_mail_auth::service::needs;
use nginx_mail_auth::service::reload::{ReloadingService, TemporaryFailureOnly};
use nginx_mail_auth::service::waiting::Waiting;
use nginx_mail_auth::sys::notify::Notify;
use nginx_mail_auth::sys::problem::Problem;
use nginx_mail_auth::sys::sandbox::Sandbox;
use nginx_mail_auth::sys::{harden, logger};
use signal_hook::consts::SIGHUP;

fn main() -> ExitCode {
    harden::process();
    logger::start();
    let ended = run();
    logger::finish();
    ended.unwrap_or_else(|error| {
        let mut message = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            message = format!("{message}: {error}");
            cause = error.source();
        }
        logger::complain(&format_args!("nginx-mail-auth: {message}"));
        ExitCode::FAILURE
    })
}

fn run() -> Result<ExitCode, Box<dyn Error>> {
    // "The server may supply the query string as arguments" (RFC 3875, 4.4): under CGI the HTTP
    // client could choose the command. A start without arguments needs no parser.
    let arguments = std::env::args_os().len() > 1;
    let under_cgi = std::env::var_os("GATEWAY_INTERFACE").is_some();
    if under_cgi || !arguments {
        let config = ConfigFile::find(None);
        if arguments {
            log::warn!(
                "arguments are ignored under CGI, as a client can write them (RFC 3875, 4.4); \
                 {config}; to name another, set {CONFIG_VARIABLE}"
            );
        }
        return answer(&config);
    }
    let cli = Cli::parse();
    let config = ConfigFile::find(cli.config);
    match cli.command {
        None => answer(&config),
        Some(Command::Serve { listen }) => serve(&config, &listen),
        Some(command) => {
            // These commands print their results themselves.
            log::set_max_level(LevelFilter::Off);
            match commands::run(&command, &config.path) {
                Some(result) => Ok(result?.into()),
                None => Ok(ExitCode::FAILURE),
            }
        }
    }
}

/// Answers as the web server asks.
fn answer(file: &ConfigFile) -> Result<ExitCode, Box<dyn Error>> {
    let Some(listener) = listener::inherited_on_fd0() else {
        logger::hold();
        let is_nginx_header = |name: OsString| name.as_bytes().starts_with(b"HTTP_AUTH_");
        let asked = std::env::vars_os().any(|(name, _)| is_nginx_header(name));
        cgi::run(&OneRequest { file })?;
        // A user at a terminal started the program, not a web server.
        if !asked && io::stdin().is_terminal() {
            eprint!("{HINT}");
        }
        return Ok(ExitCode::SUCCESS);
    };
    let config = &file.path;
    outlive_early_reload()?;
    // If the configuration is broken, its needs are not known yet.
    let checked = Config::load(config);
    if let Ok(checked) = &checked {
        checked.log.apply();
    }
    log::info!("{file}");
    logger::get_ready();
    let sockets = vec![listener.name()];
    let web_servers = match web_servers() {
        Ok(web_servers) => web_servers,
        // If it ended, the web server would start it again and again.
        Err(error) => {
            log::error!("{error}; every login gets the temporary failure");
            logger::serve();
            Server {
                listeners: vec![listener],
                limits: Limits::default(),
                web_servers: None,
            }
            .run(TemporaryFailureOnly)?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    let sandbox = match checked {
        Ok(config) => needs::enter(&config, Vec::new()).unwrap_or_else(|error| {
            log::error!("{error}");
            None
        }),
        Err(_) => None,
    };
    logger::serve();
    let live = ReloadingService::open_anyway(config, sandbox);
    // The service manager did not start this process: the web server did.
    live.announce(sockets, Notify::default());
    let limits = live
        .current()
        .map_or_else(Limits::default, |service| service.config().fastcgi);
    Server {
        listeners: vec![listener],
        limits,
        web_servers,
    }
    .run(live)?;
    Ok(ExitCode::SUCCESS)
}

/// Serves FastCGI on these addresses and on the sockets that systemd passes.
fn serve(file: &ConfigFile, addresses: &[String]) -> Result<ExitCode, Box<dyn Error>> {
    let config = &file.path;
    outlive_early_reload()?;
    let inherited = listener::from_systemd()?;
    let checked = match Config::load(config) {
        Ok(checked) => checked,
        Err(_) if !inherited.is_empty() => return wait_for_configuration(config, inherited),
        // Including the warnings of the stores.
        Err(_) => return Ok(print_problems(ReloadingService::open(config, None))),
    };
    if addresses.is_empty() && inherited.is_empty() {
        return Err(
            "no address to listen on: give --listen ADDRESS, or a socket from systemd".into(),
        );
    }
    let web_servers = web_servers()?;
    // In the sandbox it could not be connected.
    let manager = Notify::from_environment();
    let mut own = Vec::new();
    // systemd would start a server that ends again and again for the same connection.
    let load = match inherited.is_empty() {
        true => ReloadingService::open,
        false => |path: &Path, sandbox| Ok(ReloadingService::open_anyway(path, sandbox)),
    };
    let served = listen_and_load(file, &checked, addresses, &mut own, load);
    let live = match served {
        Ok(Ok(live)) => live,
        failed => {
            own.iter().for_each(Listener::remove_file);
            return failed.map(print_problems);
        }
    };
    let limits = checked.fastcgi;
    let open_to_all = checked.fronts.accept_everyone() && web_servers.is_none();
    // Otherwise it would stay in memory as long as the server runs.
    drop(checked);
    own.extend(inherited);
    if open_to_all {
        for address in own.iter().filter_map(Listener::tcp_address) {
            log::warn!(
                "anyone who can connect to {address} can guess passwords: set [nginx] key or \
                 allowed-fronts"
            );
        }
    }
    live.announce(own.iter().map(Listener::name).collect(), manager);
    Server {
        listeners: own,
        limits,
        web_servers,
    }
    .run(live)?;
    Ok(ExitCode::SUCCESS)
}

/// Serves on the sockets of systemd without a configuration that can be used, and ends when there is one.
fn wait_for_configuration(
    config: &Path,
    listeners: Vec<Listener>,
) -> Result<ExitCode, Box<dyn Error>> {
    logger::get_ready();
    logger::serve();
    let sockets = listeners.iter().map(Listener::name).collect();
    let waiting = Waiting::for_configuration(config, sockets, Notify::from_environment());
    Server {
        listeners,
        limits: Limits::default(),
        web_servers: web_servers()?,
    }
    .run(waiting)?;
    Ok(ExitCode::SUCCESS)
}

/// Binds the addresses, enters the sandbox, loads everything, and only then lets web servers
/// connect. In the sandbox no further address can be bound. `own` receives the listeners also if it
/// fails.
fn listen_and_load(
    file: &ConfigFile,
    config: &Config,
    addresses: &[String],
    own: &mut Vec<Listener>,
    load: impl FnOnce(&Path, Option<Sandbox>) -> Result<ReloadingService, Vec<Problem>>,
) -> Result<Result<ReloadingService, Vec<Problem>>, Box<dyn Error>> {
    let failed = |address: &String, error| format!("cannot listen on {address}: {error}");
    for address in addresses {
        let rights = match config.socket_rights() {
            Ok(rights) => rights,
            Err(problems) => return Ok(Err(problems)),
        };
        let listener = Listener::reserve(address, rights);
        own.push(listener.map_err(|error| failed(address, error))?);
    }
    config.log.apply();
    log::info!("{file}");
    logger::get_ready();
    let files = own.iter().flat_map(Listener::own_files);
    let sandbox = needs::enter(config, files.map(Path::to_path_buf).collect())?;
    logger::serve();
    let live = match load(&file.path, sandbox) {
        Ok(live) => live,
        Err(problems) => return Ok(Err(problems)),
    };
    for (address, listener) in addresses.iter().zip(own) {
        listener.listen().map_err(|error| failed(address, error))?;
    }
    Ok(Ok(live))
}

/// Prints the problems of the configuration.
fn print_problems<T>(loaded: Result<T, Vec<Problem>>) -> ExitCode {
    for problem in loaded.err().into_iter().flatten() {
        logger::complain(&problem);
    }
    ExitCode::from(EX_CONFIG)
}

/// Prevents SIGHUP from ending the process while it loads. A reload is not needed yet: the next
/// check of the files finds all changes.
fn outlive_early_reload() -> io::Result<()> {
    signal_hook::flag::register(SIGHUP, Arc::default())?;
    Ok(())
}

/// `FCGI_WEB_SERVER_ADDRS` (FastCGI 1.0, 3.2).
fn web_servers() -> Result<Option<WebServers>, String> {
    let Some(list) = std::env::var_os("FCGI_WEB_SERVER_ADDRS") else {
        return Ok(None);
    };
    // A value that is not text is not an address either, and must not admit every peer.
    match WebServers::parse(&list.to_string_lossy()) {
        Ok(servers) => Ok(Some(servers)),
        Err(error) => Err(format!(
            "FCGI_WEB_SERVER_ADDRS is not a list of addresses: {error}"
        )),
    }
}
