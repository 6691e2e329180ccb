//! What the README says of the sources and of the files beside it.

use std::fs;
use std::path::Path;

#[test]
fn the_configuration_is_that_of_the_program() {
    let (readme, main) = (text("README.md"), text("src/main.rs"));
    let block = readme.split_once("```rust\nhidden_layers").and_then(|(_, rest)| rest.split_once("```"));
    let (block, _) = block.expect("the configuration in a block of its own");
    for line in format!("hidden_layers{block}").lines() {
        assert!(main.lines().any(|of_main| of_main.trim() == line), "{line:?} is not in src/main.rs");
    }
}

#[test]
fn every_link_leads_to_a_file_that_is_there() {
    let readme = text("README.md");
    let targets = readme.split("](").skip(1).map(|rest| rest.split_once(')').expect("an end").0);
    let mut paths = targets.filter(|target| !target.starts_with("http")).peekable();
    assert!(paths.peek().is_some());
    for path in paths {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(path).exists(), "{path} is not there");
    }
}

fn text(path: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("text")
}
