//! What a release would change of another: by component, from their digests.

use serde::{Deserialize, Serialize};

use super::{Release, ReleaseComponent};

/// What becomes of a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is made.
    New,
    /// It is another one, or another recipe makes it.
    Changed,
    /// It is destroyed.
    Removed,
    /// It is the same. What it takes from others may still change it.
    Unchanged,
}

impl Change {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Change::New => "new",
            Change::Changed => "changed",
            Change::Removed => "removed",
            Change::Unchanged => "unchanged",
        }
    }
}

/// What becomes of one component.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ComponentChange {
    /// The component.
    pub component: String,
    /// What becomes of it.
    pub change: Change,
}

/// What the second release makes of the first, in the order of the second; what goes comes last.
pub fn changes(from: Option<&Release>, to: &Release) -> Vec<ComponentChange> {
    let before: &[ReleaseComponent] = from.map_or(&[], |from| &from.components);
    let of =
        |component: &ReleaseComponent, change| ComponentChange { component: component.name.clone(), change };
    let next =
        to.components.iter().map(|component| match before.iter().find(|old| old.name == component.name) {
            None => of(component, Change::New),
            Some(old) if is_same(old, component) => of(component, Change::Unchanged),
            Some(_) => of(component, Change::Changed),
        });
    let is_gone = |old: &&ReleaseComponent| !to.components.iter().any(|c| c.name == old.name);
    next.chain(before.iter().filter(is_gone).map(|old| of(old, Change::Removed))).collect()
}

/// A recipe says all that makes a component; without one, its artefact has to do.
fn is_same(old: &ReleaseComponent, new: &ReleaseComponent) -> bool {
    match (&old.recipe, &new.recipe) {
        (Some(old), Some(new)) => old == new,
        (None, None) => (&old.kind, &old.digest, old.sandbox) == (&new.kind, &new.digest, new.sandbox),
        (Some(_), None) | (None, Some(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release(components: &[(&str, &str)]) -> Release {
        let component = |(name, digest): &(&str, &str)| ReleaseComponent {
            name: (*name).into(),
            kind: "script".into(),
            adopts: false,
            digest: (*digest).into(),
            needs: vec![],
            longest_run_ms: 1,
            sandbox: false,
            recipe: None,
            health: None,
        };
        Release {
            digest: String::new(),
            counter: 1,
            version: String::new(),
            channel: String::new(),
            rollback_floor: 0,
            permits: vec![],
            inputs: vec![],
            approvals: std::collections::BTreeMap::new(),
            terms: std::collections::BTreeMap::new(),
            healing: Default::default(),
            components: components.iter().map(component).collect(),
        }
    }

    #[test]
    fn every_component_of_both_is_accounted_for() {
        let (old, new) =
            (release(&[("a", "1"), ("b", "1"), ("c", "1")]), release(&[("d", "1"), ("b", "2"), ("a", "1")]));
        let got: Vec<(String, &str)> =
            changes(Some(&old), &new).into_iter().map(|c| (c.component, c.change.as_str())).collect();
        let want = [("d", "new"), ("b", "changed"), ("a", "unchanged"), ("c", "removed")];
        assert_eq!(got, want.map(|(name, change)| (name.to_owned(), change)));
        assert!(changes(None, &new).iter().all(|c| c.change == Change::New));
    }
}
