//! What each kind of component can do, as one table: `kinds.txt` is read by people, and kept by this test.

use std::fmt::Write as _;

use remit_seal::kind::{ComponentKind, NeededTool, Traits};

const KEPT: &str = include_str!("kinds.txt");

fn row(out: &mut String, cells: [&str; 8]) {
    let [kind, commands, escapes, probe, planned, records, tool, leftovers] = cells;
    let line = format!(
        "{kind:<10}  {commands:<8}  {escapes:<7}  {probe:<5}  {planned:<7}  {records:<7}  {tool:<14}  {leftovers}"
    );
    writeln!(out, "{}", line.trim_end()).unwrap();
}

#[test]
fn the_table_of_kinds_is_the_kept_one() {
    let mut table = String::new();
    row(&mut table, ["kind", "commands", "escapes", "probe", "planned", "records", "tool", "leftovers"]);
    for kind in ComponentKind::ALL {
        let Traits { word, has_commands, has_escapes, has_probe, is_planned, keeps_records, tool, leftovers } =
            kind.traits();
        let said = |is| if is { "yes" } else { "-" };
        let tool = tool.map_or("-".to_owned(), |tool: NeededTool| tool.names().collect::<Vec<_>>().join("/"));
        let all = leftovers.join(" ");
        let leftovers = if all.is_empty() { "-" } else { &all };
        let [commands, escapes, probe] = [has_commands, has_escapes, has_probe].map(said);
        let (planned, records) = (said(is_planned), said(keeps_records));
        row(&mut table, [word, commands, escapes, probe, planned, records, &tool, leftovers]);
    }
    if std::env::var_os("REMIT_BLESS").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/seal/kinds.txt"), &table).unwrap();
    }
    assert_eq!(table, KEPT, "what kinds can do has changed; REMIT_BLESS=1 writes the table anew");
}
