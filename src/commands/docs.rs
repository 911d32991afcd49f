//! `man` and `completions`: made from the command line's own table, so that they cannot differ.

use std::io::Write;

use clap::{Arg, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use super::{CommandError, Outcome};
use crate::commands::cli::Cli;
use crate::config::{CONFIG_VARIABLE, DEFAULT_CONFIG};
use crate::sys::logger::LEVEL_VARIABLE;

/// The name that completions are bound to.
const PROGRAM: &str = "nginx-mail-auth";

/// Prints the manual page in roff.
pub(super) fn man(out: &mut impl Write) -> Result<Outcome, CommandError> {
    let mut command = Cli::command().disable_help_subcommand(true);
    command.build();
    let page = Man::new(command.clone()).section("8");
    page.render_title(out)?;
    page.render_name_section(out)?;
    page.render_synopsis_section(out)?;
    page.render_description_section(out)?;
    page.render_options_section(out)?;
    let mut roff = Roff::new();
    commands(&command, &mut roff);
    environment(&mut roff);
    files(&mut roff);
    exit_status(&mut roff);
    roff.control("SH", ["SEE ALSO"]);
    let configuration = [bold(PROGRAM), roman("(5), ")];
    let servers = [bold("nginx"), roman("(8), "), bold("apache2"), roman("(8)")];
    roff.text(configuration.into_iter().chain(servers).collect::<Vec<_>>());
    roff.to_writer(out)?;
    Ok(Outcome::Done)
}

/// Prints a script that completes the command line.
pub(super) fn completions(shell: Shell, out: &mut impl Write) -> Result<Outcome, CommandError> {
    // Into memory first: clap_complete panics where it cannot write.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), PROGRAM, &mut script);
    if shell == Shell::Bash {
        script = with_one_name(script);
    }
    out.write_all(&script)?;
    Ok(Outcome::Done)
}

/// Makes the script for bash call each subcommand by one name.
///
/// clap_complete 4.6 writes the hyphens of the program's name as `__` where it finds the subcommand,
/// and as `__subcmd__` where it lists what follows it, so that nothing follows the first word.
fn with_one_name(script: Vec<u8>) -> Vec<u8> {
    let (listed, found) = (
        PROGRAM.replace('-', "__subcmd__"),
        PROGRAM.replace('-', "__"),
    );
    match String::from_utf8(script) {
        Ok(script) => script.replace(&listed, &found).into_bytes(),
        Err(other) => other.into_bytes(),
    }
}

fn commands(command: &clap::Command, roff: &mut Roff) {
    roff.control("SH", ["COMMANDS"]);
    each_command(command, "", roff);
}

/// The subcommands of a command, and theirs; `above` is the name of the command.
fn each_command(command: &clap::Command, above: &str, roff: &mut Roff) {
    for command in command.get_subcommands() {
        let name = format!("{above}{}", command.get_name());
        let own = |argument: &&Arg| {
            let id = argument.get_id();
            let is_global = argument.is_global_set() && !above.is_empty();
            id != "help" && id != "config" && id != "version" && !is_global
        };
        let mut usage = vec![bold(&name)];
        for argument in command.get_arguments().filter(own) {
            usage.push(roman(format!(" {argument}")));
        }
        entry(roff, usage);
        let about = command.get_long_about().or_else(|| command.get_about());
        for paragraph in about
            .map(ToString::to_string)
            .unwrap_or_default()
            .split("\n\n")
        {
            let sentence = paragraph.trim_end_matches('.');
            roff.text([roman(format!("{sentence}."))]);
        }
        for argument in command.get_arguments().filter(own) {
            let help = argument
                .get_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            let mut line = vec![italic(argument.to_string()), roman(format!(": {help}"))];
            let valued = argument.get_action().takes_values();
            let defaults = argument.get_default_values();
            if let (true, Some(default)) = (valued, defaults.first()) {
                line.push(roman(format!("; default {}", default.to_string_lossy())));
            }
            line.push(roman("."));
            roff.control("br", []);
            roff.text(line);
        }
        each_command(command, &format!("{name} "), roff);
    }
}

fn environment(roff: &mut Roff) {
    roff.control("SH", ["ENVIRONMENT"]);
    entry(roff, vec![bold(CONFIG_VARIABLE)]);
    roff.text([roman("The configuration file, if --config is not given.")]);
    entry(roff, vec![bold(LEVEL_VARIABLE)]);
    roff.text([roman(
        "The log level (error, warn, info, debug, trace). It overrides the configuration.",
    )]);
    entry(
        roff,
        vec![
            bold("HTTP_AUTH_USER"),
            roman(", "),
            bold("HTTP_AUTH_PASS"),
            roman(", ..."),
        ],
    );
    roff.text([roman(
        "The request of a CGI program: the headers that nginx sends (RFC 3875).",
    )]);
}

fn files(roff: &mut Roff) {
    roff.control("SH", ["FILES"]);
    entry(roff, vec![italic(DEFAULT_CONFIG)]);
    roff.text([roman(
        "The configuration, in TOML: nginx-mail-auth(5) has its keys. It and the files that it names must \
         belong to root or to the user of the program, and must not be writable by others.",
    )]);
}

fn exit_status(roff: &mut Roff) {
    roff.control("SH", ["EXIT STATUS"]);
    for (status, meaning) in [
        (
            "0",
            "Success. test, probe: the login is accepted. route: there is a mail server. A CGI request that is \
             refused or gets the temporary failure is also a success.",
        ),
        (
            "1",
            "test, probe: the login is refused. route: the login is refused, or no mail server is available. \
             hash --verify: the password does not match. user: there is no such user. Other commands: \
             failure.",
        ),
        ("2", "The command line is invalid."),
        (
            "69",
            "probe: the URL could not be asked: no connection, or no answer in time.",
        ),
        (
            "75",
            "probe: a temporary failure, or nginx would wait and ask again.",
        ),
        ("76", "probe: nginx cannot use the answer."),
        (
            "78",
            "The configuration is invalid. serve, check, test, route, probe: also if a file or store that it \
             names cannot be used. With a socket from systemd, serve does not end: it answers with the temporary \
             failure until the configuration can be used.",
        ),
    ] {
        entry(roff, vec![bold(status)]);
        roff.text([roman(meaning)]);
    }
}

/// The head of an indented paragraph.
fn entry(roff: &mut Roff, head: Vec<Inline>) {
    roff.control("TP", []);
    roff.text(head);
}
