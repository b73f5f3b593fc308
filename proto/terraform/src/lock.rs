//! The lock file of a source: which providers are used, in which version, with which hashes.

use hcl_edit::structure::Structure;

/// A provider that a lock file names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Locked {
    /// Its whole address, e.g. `registry.terraform.io/hashicorp/aws`.
    pub address: String,
    /// Its version.
    pub version: String,
    /// The hashes that its package may have.
    pub hashes: Vec<String>,
}

/// Reads a lock file; an error has its line and why.
pub fn locked(text: &str) -> Result<Vec<Locked>, (u32, String)> {
    let parsed = hcl_edit::parser::parse_body(text).map_err(|error| {
        let line = u32::try_from(error.location().line()).unwrap_or(u32::MAX);
        (line, error.message().to_owned())
    })?;
    let mut all = Vec::new();
    for block in parsed.iter().filter_map(Structure::as_block).filter(|block| block.has_ident("provider")) {
        let [address] = block.labels.as_slice() else {
            return Err((0, "a provider without an address".to_owned()));
        };
        let value = |name: &str| block.body.get_attribute(name).map(|attribute| &attribute.value);
        let version = value("version").and_then(|version| version.as_str()).unwrap_or_default().to_owned();
        let hashes = value("hashes").and_then(|hashes| hashes.as_array());
        let hashes = hashes.into_iter().flat_map(|hashes| hashes.iter());
        let hashes = hashes.filter_map(|hash| hash.as_str().map(str::to_owned)).collect();
        all.push(Locked { address: address.as_str().to_owned(), version, hashes });
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn providers_are_read_with_their_hashes() {
        let text = "# made by init\nprovider \"registry.terraform.io/hashicorp/null\" {\n  version     = \"3.2.1\"\n  constraints = \">= 3.0.0\"\n  hashes = [\n    \"h1:abc=\",\n    \"zh:def\",\n  ]\n}\n";
        let found = locked(text).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].address, "registry.terraform.io/hashicorp/null");
        assert_eq!((found[0].version.as_str(), found[0].hashes.len()), ("3.2.1", 2));
        assert_eq!(locked("").unwrap(), []);
        assert_eq!(locked("provider \"x\" {\n").unwrap_err().0, 1);
    }
}
