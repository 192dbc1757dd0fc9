//! One line of the list: a Git repository with a PKGBUILD, and where its packages go.

use std::fmt;
use std::path::{Component, Path};

use percent_encoding::percent_decode_str;
use url::Url;

/// The address of a Git repository. It may contain a password or token, so it is shown without.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GitUrl(String);

impl GitUrl {
    /// The whole address. Only for Git itself, and never as an argument.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The address without user name and password, and these by themselves, where it is one for HTTP that has
    /// them: Git hands addresses to its helpers as arguments, which every user of the machine can read.
    pub(super) fn apart(&self) -> (String, Option<Credentials>) {
        let Ok(mut url) = Url::parse(&self.0) else { return (self.0.clone(), None) };
        let has_any = !url.username().is_empty() || url.password().is_some();
        if !has_any || !matches!(url.scheme(), "http" | "https") {
            return (self.0.clone(), None);
        }
        let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let (user, password) = (plain(url.username()), plain(url.password().unwrap_or_default()));
        // Neither fails for an address with a host, which HTTP's have.
        let _ = (url.set_username(""), url.set_password(None));
        let origin = url.origin().ascii_serialization();
        (url.to_string(), Some(Credentials { origin, user, password }))
    }

    /// The host that is asked; empty for local paths.
    pub fn host(&self) -> &str {
        self.host_and_port().split(':').next().unwrap_or_default()
    }

    /// Scheme, host and port that are asked, as they are written.
    pub fn origin(&self) -> String {
        match self.0.split_once("://") {
            Some((scheme, _)) => format!("{scheme}://{}", self.host_and_port()),
            None => format!("ssh://{}", self.host()),
        }
    }

    fn host_and_port(&self) -> &str {
        let rest = self.0.split_once("://").map_or(self.0.as_str(), |(_, rest)| rest);
        let authority = rest.split('/').next().unwrap_or_default();
        authority.rsplit_once('@').map_or(authority, |(_, host)| host)
    }

    /// `text` without the credentials of this address.
    pub fn redact(&self, text: &str) -> String {
        let mut text = text.replace(&self.0, &self.to_string());
        if let Some(userinfo) = self.userinfo().filter(|u| !u.is_empty()) {
            text = text.replace(userinfo, "***");
            if let Some((_, password)) = userinfo.split_once(':').filter(|(_, p)| !p.is_empty()) {
                text = text.replace(password, "***");
            }
        }
        for secret in self.secret_parameters() {
            text = text.replace(secret, "***");
        }
        text
    }

    /// The values of parameters that are called like secrets: `?private_token=...`.
    fn secret_parameters(&self) -> impl Iterator<Item = &str> {
        const SIGNS: [&str; 7] = ["token", "key", "pass", "secret", "auth", "sig", "cred"];
        let query = self.0.split_once('?').map_or("", |(_, query)| query);
        query.split(['&', ';', '#']).filter_map(|parameter| {
            let (name, value) = parameter.split_once('=')?;
            let name = name.to_ascii_lowercase();
            (!value.is_empty() && SIGNS.iter().any(|sign| name.contains(sign))).then_some(value)
        })
    }

    /// The part before `@` where it may be secret: that of `ssh://git@host` is a mere user name.
    fn userinfo(&self) -> Option<&str> {
        let (scheme, rest) = self.0.split_once("://")?;
        let authority = rest.split('/').next()?;
        let (userinfo, _) = authority.rsplit_once('@')?;
        (scheme != "ssh" || userinfo.contains(':')).then_some(userinfo)
    }
}

impl fmt::Display for GitUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = match self.userinfo() {
            Some(userinfo) => self.0.replacen(&format!("{userinfo}@"), "***@", 1),
            None => self.0.clone(),
        };
        for secret in self.secret_parameters() {
            text = text.replace(&format!("={secret}"), "=***");
        }
        f.write_str(&text)
    }
}

impl fmt::Debug for GitUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What somebody wrote into an address to log in with.
pub(super) struct Credentials {
    /// Scheme, host and port that they are for.
    pub origin: String,
    /// The user.
    pub user: String,
    /// The password; empty where a token stands for the user.
    pub password: String,
}

/// What the address of an entry points to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A Git repository.
    Git,
    /// One PKGBUILD file, over HTTP.
    Url,
}

/// One repository entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What the address points to.
    pub kind: Kind,
    /// The address.
    pub url: GitUrl,
    /// The branch, or the repository's default.
    pub branch: Option<String>,
    /// The folder of the PKGBUILD in the repository, where it is not the top.
    pub path: Option<String>,
    /// The architectures to build it for; empty: all.
    pub arch: Vec<String>,
    /// The pacman repository to publish to.
    pub repo: String,
    /// The entry's number on servers that number them; logs are sent under it.
    pub target_id: Option<i64>,
}

impl Entry {
    /// Whether the entry is meant for an architecture.
    pub fn is_for(&self, arch: &str) -> bool {
        self.arch.is_empty() || self.arch.iter().any(|a| a == arch || a == "any")
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.url)?;
        if let Some(branch) = &self.branch {
            write!(f, "#{branch}")?;
        }
        if let Some(path) = &self.path {
            write!(f, " {path}")?;
        }
        Ok(())
    }
}

/// An entry of the list that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadEntry {
    /// What it is called: its address or its place in the list.
    pub name: String,
    /// What is wrong with it.
    pub why: String,
}

/// Checks an address: the transports of Git that do not run commands, or HTTP for one PKGBUILD.
pub(super) fn check_url(text: &str, kind: Kind) -> Result<GitUrl, String> {
    let url = GitUrl(text.to_owned());
    if text.is_empty() {
        return Err("it has no url".into());
    }
    if text.starts_with('-') || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err("its url contains blanks or control characters, or starts with a dash".into());
    }
    let scheme = text.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    match (kind, scheme.as_deref()) {
        (_, Some("http" | "https")) => match Url::parse(text) {
            Ok(_) => Ok(url),
            Err(e) => Err(format!("its url is not valid: {e}")),
        },
        (Kind::Url, _) => Err("its kind is `url`, which needs an http:// or https:// address".into()),
        (Kind::Git, Some("git" | "ssh" | "file")) => Ok(url),
        (Kind::Git, Some(other)) => Err(format!("its url has the unsupported scheme {other}://")),
        (Kind::Git, None) if text.contains("::") => {
            Err("its url names a remote helper, which is not allowed".into())
        }
        (Kind::Git, None) if text.starts_with('/') || text.contains(':') => Ok(url),
        (Kind::Git, None) => Err("its url is neither an address nor an absolute path".into()),
    }
}

/// Checks a folder: relative, and inside the repository.
pub(super) fn check_path(text: &str) -> Result<Option<String>, String> {
    let text = text.trim_matches('/');
    let inside = Path::new(text).components().all(|part| matches!(part, Component::Normal(_)));
    if !inside || text.chars().any(char::is_control) {
        return Err(format!("its path {text:?} is not a folder inside the repository"));
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// Checks a branch name, by the part of `git check-ref-format`'s rules that keeps it harmless.
pub(super) fn check_branch(text: &str) -> Result<Option<String>, String> {
    let bad = |c: char| c.is_control() || c.is_whitespace() || "~^:?*[\\".contains(c);
    if text.starts_with('-') || text.contains("..") || text.chars().any(bad) {
        return Err(format!("its branch {text:?} is no branch name"));
    }
    Ok((!text.is_empty()).then(|| text.to_owned()))
}

/// Whether a name can be that of a pacman repository: a folder, and part of a URL.
pub fn is_repo_name(text: &str) -> bool {
    is_package_name(text) && text != "api"
}

/// Whether a name is a package's: PKGBUILD(5) allows letters, digits and `@._+-`, not beginning with a
/// hyphen or dot.
pub fn is_package_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 255
        && !text.starts_with(['-', '.'])
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"@._+-".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        check_url(text, Kind::Git).expect("an address").to_string()
    }

    #[test]
    fn secrets_of_addresses_are_not_shown() {
        assert_eq!(shown("https://jane:secret@x/y.git"), "https://***@x/y.git");
        assert_eq!(
            shown("https://x/raw?private_token=abc&ref=main"),
            "https://x/raw?private_token=***&ref=main"
        );
        assert_eq!(shown("https://aur/plain/PKGBUILD?h=paru"), "https://aur/plain/PKGBUILD?h=paru");
        let url = check_url("https://x/raw?token=abc", Kind::Url).expect("an address");
        assert_eq!(
            url.redact("404 for url (https://x/raw?token=abc)"),
            "404 for url (https://x/raw?token=***)"
        );
    }

    #[test]
    fn hosts_and_origins() {
        for (text, host, origin) in [
            ("https://jane@x:8443/y", "x", "https://x:8443"),
            ("git@x:y/z.git", "x", "ssh://x"),
            ("ssh://git@x/y", "x", "ssh://x"),
            ("/srv/git/y", "", "ssh://"),
        ] {
            let url = check_url(text, Kind::Git).expect("an address");
            assert_eq!((url.host(), url.origin().as_str()), (host, origin), "{text}");
        }
    }
}
