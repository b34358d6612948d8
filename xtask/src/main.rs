//! The project's own commands: `cargo xtask build | test [--full] | demo | bench [--quick | --forms |
//! --containers]`.
//!
//! As root on Debian they install what they need; elsewhere they say what is
//! missing. Results go to stdout, what is being done to stderr.

#![allow(clippy::print_stdout, clippy::print_stderr)]

mod bench;
mod builder;
mod closure;
mod debian;
mod demo;
mod deny;
mod kernel;
mod nix;
mod prerequisites;
mod proof;
mod step;
mod test_env;
mod workspace;

use std::process::ExitCode;

use workspace::Workspace;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  build          the static binary; its path is the last line on stdout
  test [--full]  everything that proves the project; --full adds what is longer
  demo           an image of a small closure, made by a real nix-build in its sandbox
  bench [--quick | --forms | --containers]
                 our speed and memory beside others', as a table; --quick on less,
                 --forms of one closure in all its forms alone,
                 --containers of one closure in all containers alone";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let command: fn(&Workspace) -> anyhow::Result<()> = match arguments[..] {
        ["build"] => builder::command,
        ["test"] => |workspace| proof::command(workspace, proof::Extent::Usual),
        ["test", "--full"] => |workspace| proof::command(workspace, proof::Extent::Full),
        ["demo"] => demo::command,
        ["bench"] => |workspace| bench::command(workspace, bench::Size::Full, bench::Rows::All),
        ["bench", "--quick"] => {
            |workspace| bench::command(workspace, bench::Size::Quick, bench::Rows::All)
        }
        ["bench", "--forms"] => {
            |workspace| bench::command(workspace, bench::Size::Full, bench::Rows::Forms)
        }
        ["bench", "--containers"] => {
            |workspace| bench::command(workspace, bench::Size::Full, bench::Rows::Containers)
        }
        ["help" | "--help" | "-h"] => {
            println!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match Workspace::find().and_then(|workspace| command(&workspace)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}
