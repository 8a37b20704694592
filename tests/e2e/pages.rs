//! Manual pages and completions.

use crate::seislake::{succeed, text};

#[test]
fn there_is_a_page_for_each_command() {
    let folder = tempfile::tempdir().unwrap();
    succeed(&["man", "--output", text(folder.path())]);
    let page = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert!(page("seislake.1").contains("A lakehouse for seismic networks"));
    let help = succeed(&["--help"]);
    let commands = help.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1);
    let commands: Vec<&str> =
        commands.map_while(|line| line.strip_prefix("  ")?.split_whitespace().next()).collect();
    assert!(commands.len() > 10, "{help}");
    for command in commands.into_iter().filter(|command| *command != "help") {
        assert!(page(&format!("seislake-{command}.1")).contains("seislake"), "{command}");
    }
}
