//! `agon new env`: the file, the registry row and the scenario of a new environment, in a checkout of Agon.

use crate::cli::NewEnv;
use crate::failure::{Failure, Outcome};
use crate::text;
use std::path::{Path, PathBuf};

/// A whole environment, which a test holds to the contract.
const TEMPLATE: &str = include_str!("../envs/tests/template/walk.rs");

/// What a family's file holds before its rows.
const ROWS: &str = "pub const ENTRIES: &[Entry] = &[\n";

fn wrong(why: impl Into<String>) -> Failure {
    Failure::Input(why.into())
}

/// `my-env` as a module, `my_env`, and as a type, `MyEnv`.
fn names(name: &str) -> Outcome<(String, String)> {
    let letters = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_lowercase())
            && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
    };
    if !name.split('-').all(letters) {
        return Err(wrong(format!("`{name}`: write a name in small letters, digits and hyphens, such as grid-world")));
    }
    let capital = |part: &str| part[..1].to_uppercase() + &part[1..];
    Ok((name.replace('-', "_"), name.split('-').map(capital).collect()))
}

/// A family's file with a module and a row more.
fn with_row(text: &str, module: &str, row: &str) -> Option<String> {
    let line = format!("pub mod {module};\n");
    // Where it stands among the others by name.
    let mods: Vec<(usize, &str)> = text.match_indices("pub mod ").map(|(at, _)| (at, &text[at..])).collect();
    let at = mods.iter().find(|(_, rest)| *rest > line.as_str()).map(|(at, _)| *at).or_else(|| {
        let (last, rest) = mods.last()?;
        Some(last + rest.find('\n')? + 1)
    })?;
    let with_mod = format!("{}{line}{}", &text[..at], &text[at..]);
    let rows = with_mod.find(ROWS)? + ROWS.len();
    let end = rows + with_mod[rows..].find("\n];")? + 1;
    Some(format!("{}{row}{}", &with_mod[..end], &with_mod[end..]))
}

/// Writes an environment into the checkout that one stands in.
pub fn run(args: &NewEnv) -> Outcome {
    let (family, name) = args
        .name
        .split_once('/')
        .ok_or_else(|| wrong(format!("`{}`: write FAMILY/NAME, such as classic/grid-world", args.name)))?;
    let (module, kind) = names(name)?;
    let file = |parts: &[&str]| parts.iter().collect::<PathBuf>();
    if !Path::new("envs/src/lib.rs").is_file() {
        return Err(wrong("there is no envs/src/lib.rs here: this is to be run in a checkout of Agon"));
    }
    if family == "games" {
        return Err(wrong("a game implements `Game`: copy envs/src/games/tic_tac_toe.rs, see CONTRIBUTING.md"));
    }
    let rows = file(&["envs", "src", &format!("{family}.rs")]);
    if !rows.is_file() {
        return Err(wrong(format!(
            "there is no family `{family}`: {} is missing; CONTRIBUTING.md says what a new one needs",
            rows.display()
        )));
    }
    let code = file(&["envs", "src", family, &format!("{module}.rs")]);
    let scenario = file(&["scenarios", family, &format!("{name}.toml")]);
    if let Some(there) = [&code, &scenario].into_iter().find(|path| path.exists()) {
        return Err(wrong(format!("{} is there already", there.display())));
    }
    let id = format!("{family}/{name}");
    let row =
        format!("    Entry::env::<{module}::{kind}>(\"{id}\", \"Walk to the end of a line\", \"nothing yet\"),\n");
    let before = text::read(&rows)?;
    let after = with_row(&before, &module, &row)
        .ok_or_else(|| wrong(format!("{} has no `{}`", rows.display(), ROWS.trim_end())))?;
    let source = TEMPLATE.replace("WalkSettings", &format!("{kind}Settings")).replace("Walk", &kind);
    let toml = format!(
        "about = \"Walk to the end of a line\"\nenv   = {{ id = \"{id}\" }}\nagent = {{ kind = \"ppo\" }}\n\
         train = {{ steps = 50_000, seed = 1 }}\neval  = {{ every = 10_000, baselines = [\"random\"] }}\n"
    );
    for (path, text) in [(&code, source.as_str()), (&scenario, &toml), (&rows, &after)] {
        std::fs::write(path, text).map_err(|e| Failure::write(path, &e))?;
    }
    crate::say!(
        "wrote {}\n      {}\n      a module and a row in {}",
        code.display(),
        scenario.display(),
        rows.display()
    );
    crate::say!("\nIt works as it is: `cargo test -p agon-envs` holds it to the contract, `make build` and");
    crate::say!("`target/release/agon train {id}` train on it. Now make it yours.");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_and_rows_find_their_place() {
        let text = format!("pub mod b;\npub mod d;\n\nuse x;\n\n{ROWS}    Entry::env::<b::B>(\"f/b\"),\n];\n");
        for (module, mods) in
            [("a", "pub mod a;\npub mod b;\n"), ("c", "pub mod c;\npub mod d;\n"), ("e", "pub mod d;\npub mod e;\n")]
        {
            let found = with_row(&text, module, "    ROW,\n").unwrap();
            assert!(found.contains(mods) && found.ends_with("(\"f/b\"),\n    ROW,\n];\n"), "{found}");
        }
        assert_eq!(with_row("pub mod b;\n", "c", "ROW"), None);
    }

    #[test]
    fn names_are_names() {
        assert_eq!(names("grid-world2").unwrap(), ("grid_world2".into(), "GridWorld2".into()));
        for name in ["", "Grid", "grid_world", "grid--world", "-a", "2048", "a/b", "ü"] {
            assert!(names(name).is_err(), "{name}");
        }
    }
}
