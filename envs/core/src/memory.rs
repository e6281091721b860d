//! How much memory (RAM) there is, and refusal of what would need more before it is allocated.

use crate::settings::Issue;
use std::fs;
use std::path::Path;

/// Bytes available: what the system has left, or less where the process is in a control group with a limit. Infinite
/// where neither is known.
pub fn available() -> f64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let system = line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse::<f64>().ok());
    let group = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let groups = group.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (kind, path) = (parts.next()?, parts.next()?);
        let [root, limit, used] = match kind {
            "" => ["/sys/fs/cgroup", "memory.max", "memory.current"],
            "memory" => ["/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"],
            _ => return None,
        };
        Some(left(Path::new(root), path, limit, used))
    });
    groups.chain(system.map(|kilobytes| kilobytes * 1024.0)).fold(f64::INFINITY, f64::min)
}

/// What a control group and its ancestors have left.
fn left(root: &Path, path: &str, limit: &str, used: &str) -> f64 {
    let number = |folder: &Path, name: &str| fs::read_to_string(folder.join(name)).ok()?.trim().parse::<f64>().ok();
    // Files that are kept in memory only because there is room make way.
    let files = |folder: &Path| {
        let text = fs::read_to_string(folder.join("memory.stat")).ok()?;
        text.lines().find_map(|line| line.strip_prefix("inactive_file "))?.trim().parse::<f64>().ok()
    };
    let own = root.join(path.trim_start_matches('/'));
    let of = |folder: &Path| {
        let (limit, used) = (number(folder, limit)?, number(folder, used)?);
        Some((limit - (used - files(folder).unwrap_or(0.0)).max(0.0)).max(0.0))
    };
    // In a container the path may be one that only its host has.
    let folders = own.ancestors().take_while(|folder| folder.starts_with(root));
    folders.chain([root]).filter_map(of).fold(f64::INFINITY, f64::min)
}

/// Why so many bytes are too many, if they are; `what` describes the need.
pub fn refusal(bytes: f64, what: &str) -> Option<String> {
    let there = available();
    (bytes > there)
        .then(|| format!("would need {:.1} GB of memory{what}; {:.1} GB are there", bytes / 1e9, there / 1e9))
}

/// Refuses a setting that needs more memory than there is.
///
/// # Errors
/// What is wrong with the setting.
pub fn fits(setting: &str, bytes: f64, what: &str) -> Result<(), Issue> {
    refusal(bytes, what).map_or(Ok(()), |why| Err(Issue::value(setting, why)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_of_groups_count() {
        let folder = tempfile::tempdir().unwrap();
        let (root, inner) = (folder.path(), folder.path().join("a/b"));
        fs::create_dir_all(&inner).unwrap();
        let write = |at: &Path, limit: &str, used: &str| {
            fs::write(at.join("memory.max"), limit).unwrap();
            fs::write(at.join("memory.current"), used).unwrap();
        };
        write(&inner, "max\n", "5\n");
        write(&root.join("a"), "1000\n", "400\n");
        assert_eq!(left(root, "/a/b", "memory.max", "memory.current"), 600.0, "the group above has the limit");
        fs::write(root.join("a/memory.stat"), "anon 100\ninactive_file 300\n").unwrap();
        assert_eq!(left(root, "/a/b", "memory.max", "memory.current"), 900.0, "files make way");
        assert_eq!(left(root, "/nowhere", "memory.max", "memory.current"), f64::INFINITY);
        assert!(available() > 1e6);
        assert!(refusal(1e18, " with all").unwrap().contains("1000000000.0 GB of memory with all"));
    }
}
