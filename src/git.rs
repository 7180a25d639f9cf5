//! Asks a git repository what a branch or tag points to, through the `git` that the user has.

use std::io;
use std::process::{Command, Stdio};

/// Why a reference could not be resolved.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    #[error("cannot run git: {0}; install git, or give the commit in the preset")]
    NoGit(#[source] io::Error),
    #[error("`git ls-remote {repository}` failed: {message}")]
    Remote { repository: String, message: String },
    #[error("git has no `{what}`: {message}")]
    NoSuchFile { what: String, message: String },
    #[error("`{repository}` has no {kind} `{name}`")]
    NoSuchReference { repository: String, kind: &'static str, name: String },
}

/// Commit that a branch (`refs/heads/`) or tag (`refs/tags/`) of a repository points to: 40 hexadecimal digits.
/// An annotated tag gives the commit it was made for.
pub fn resolve(repository: &str, kind: &'static str, name: &str) -> Result<String, GitError> {
    let folder = if kind == "tag" { "refs/tags" } else { "refs/heads" };
    let reference = format!("{folder}/{name}");
    let output = Command::new("git")
        // Without a terminal git would wait for a password that nobody can type.
        .env("GIT_TERMINAL_PROMPT", "0")
        .args(["ls-remote", "--", repository, &reference, &format!("{reference}^{{}}")])
        .stdin(Stdio::null())
        .output()
        .map_err(GitError::NoGit)?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
        return Err(GitError::Remote { repository: repository.to_owned(), message });
    }
    commit(&String::from_utf8_lossy(&output.stdout)).ok_or_else(|| GitError::NoSuchReference {
        repository: repository.to_owned(),
        kind,
        name: name.to_owned(),
    })
}

/// The text of a file as a commit has it; the path is relative to the current directory.
pub fn show(reference: &str, path: &str) -> Result<String, GitError> {
    let what = format!("{reference}:./{path}");
    ask(&["show", "--end-of-options", &what], &what)
}

/// The files of a directory as a commit has them: paths relative to the current directory. Empty where there is none.
pub fn list(reference: &str, dir: &str) -> Result<Vec<String>, GitError> {
    let commit = format!("{reference}^{{commit}}");
    let hash = ask(&["rev-parse", "--verify", "--quiet", "--end-of-options", &commit], reference)?;
    let dir = format!("{}/", dir.trim_end_matches('/'));
    let listed = ask(&["ls-tree", "-z", "--name-only", hash.trim(), &dir], &dir)?;
    Ok(listed.split('\0').filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

fn ask(args: &[&str], what: &str) -> Result<String, GitError> {
    let output =
        Command::new("git").args(args).stdin(Stdio::null()).output().map_err(GitError::NoGit)?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
        return Err(GitError::NoSuchFile { what: what.to_owned(), message });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The commit in the output of `ls-remote`: of two lines the peeled one (`^{}`), which names the tag's commit.
fn commit(text: &str) -> Option<String> {
    let lines = || text.lines().filter_map(|line| line.split_once('\t'));
    let peeled = lines().find(|(_, name)| name.ends_with("^{}"));
    let (hash, _) = peeled.or_else(|| lines().next())?;
    (hash.len() == 40 && hash.chars().all(|c| c.is_ascii_hexdigit())).then(|| hash.to_owned())
}

#[cfg(test)]
mod tests {
    use super::commit;

    #[test]
    fn an_annotated_tag_gives_its_commit() {
        let (tag, target) = ("a".repeat(40), "b".repeat(40));
        let text = format!("{tag}\trefs/tags/v1\n{target}\trefs/tags/v1^{{}}\n");
        assert_eq!(commit(&text), Some(target));
        assert_eq!(commit(&format!("{tag}\trefs/heads/master\n")), Some(tag));
        assert_eq!(commit(""), None);
        assert_eq!(commit("error\tx\n"), None);
    }
}
