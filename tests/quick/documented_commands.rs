//! The commands in the documents are commands of the program.

use std::fs;
use std::path::Path;

use clap::Parser as _;
use clap::error::ErrorKind;
use nginx_mail_auth::commands::cli::Cli;

const PROGRAM: &str = "nginx-mail-auth";

/// The Markdown files below the folder, and those beside it.
fn pages() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("docs")];
    let mut files = vec![root.join("README.md"), root.join("SECURITY.md")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => files.push(path),
            }
        }
    }
    let is_page = |path: &Path| path.extension().is_some_and(|it| it == "md");
    let read = |path: &Path| {
        (
            path.display().to_string(),
            fs::read_to_string(path).unwrap(),
        )
    };
    let pages = files.iter().filter(|path| is_page(path));
    pages.map(|path| read(path)).collect()
}

/// The commands in a page: the code between backticks, and the lines of code blocks.
fn commands(page: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut fenced = false;
    for line in page.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
            continue;
        }
        match fenced || line.starts_with("    ") {
            true => found.push(line.trim_start().to_owned()),
            false => found.extend(line.split('`').skip(1).step_by(2).map(str::to_owned)),
        }
    }
    // In a drawing, the name of the program is not a command.
    let begins = |command: &&String| {
        let rest = command
            .strip_prefix(PROGRAM)
            .and_then(|rest| rest.strip_prefix(' '));
        rest.is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '-'))
    };
    found.iter().filter(begins).cloned().collect()
}

/// The words up to what the shell takes for itself.
fn words(command: &str) -> Vec<&str> {
    let end = command.find(['|', '>', '<', ';', '#', '\\']);
    let command = &command[..end.unwrap_or(command.len())];
    let words = command.split_whitespace();
    words
        .map(|word| match word {
            "URL" => "http://127.0.0.1/mail/auth",
            other => other,
        })
        .collect()
}

#[test]
fn every_command_in_the_documents_is_one_of_the_program() {
    let mut seen = 0;
    for (page, text) in pages() {
        for command in commands(&text) {
            let words = words(&command);
            seen += 1;
            let Err(error) = Cli::try_parse_from(&words) else {
                continue;
            };
            let complete = words.len() > 3;
            let named = match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => true,
                // A sentence can name a command without its arguments.
                ErrorKind::MissingRequiredArgument
                | ErrorKind::MissingSubcommand
                | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => !complete,
                _ => false,
            };
            assert!(named, "{page}: {command}\n{error}");
        }
    }
    assert!(seen > 40, "only {seen} commands");
}
