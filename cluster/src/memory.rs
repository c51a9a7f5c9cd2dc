//! How much memory this process may use.

use std::fs;
use std::path::{Path, PathBuf};

/// Bytes that this process may use beside what it has, if `ranks` of its kind share the node: of what the system has available, what its control
/// groups leave it (Slurm's and containers' limits), and what its own limit of address space does. Infinite where none of them is known.
pub fn available(ranks: usize) -> f64 {
    let of_node = [system(Path::new("/proc/meminfo")), control_groups(Path::new("/"))]
        .into_iter()
        .flatten()
        .fold(f64::INFINITY, f64::min);
    (of_node / ranks.max(1) as f64).min(address_space(Path::new("/proc/self")).unwrap_or(f64::INFINITY))
}

/// `MemAvailable`.
fn system(meminfo: &Path) -> Option<f64> {
    kilobytes(&fs::read_to_string(meminfo).ok()?, "MemAvailable:")
}

/// The least that any of the control groups around this process leaves it; `root` is the file system's.
fn control_groups(root: &Path) -> Option<f64> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let left = groups.lines().filter_map(|line| {
        let (controllers, path) = line.split_once(':')?.1.split_once(':')?;
        let (mount, files) = match controllers {
            "" => ("sys/fs/cgroup", ["memory.max", "memory.current", "inactive_file"]),
            _ if controllers.split(',').any(|c| c == "memory") => (
                "sys/fs/cgroup/memory",
                ["memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"],
            ),
            _ => return None,
        };
        let mount = root.join(mount);
        // In a container the path may be that of the machine outside: then the mount itself is this process's group.
        let own = mount.join(path.trim_start_matches('/'));
        let own = if own.is_dir() { own } else { mount.clone() };
        let around: Vec<PathBuf> = own
            .ancestors()
            .take_while(|p| p.starts_with(&mount))
            .map(Path::to_path_buf)
            .collect();
        around.iter().filter_map(|group| left_by(group, files)).reduce(f64::min)
    });
    left.reduce(f64::min)
}

/// What one group leaves; pages of files that the system would give up count as free.
fn left_by(group: &Path, [limit, used, reclaimable]: [&str; 3]) -> Option<f64> {
    let number = |name: &str| fs::read_to_string(group.join(name)).ok()?.trim().parse::<f64>().ok();
    let limit = number(limit)?;
    let stat = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
    let given_up = stat
        .lines()
        .find_map(|line| line.strip_prefix(reclaimable)?.trim().parse::<f64>().ok());
    Some((limit - (number(used).unwrap_or(0.0) - given_up.unwrap_or(0.0)).max(0.0)).max(0.0))
}

/// What `ulimit -v` leaves.
fn address_space(process: &Path) -> Option<f64> {
    let limits = fs::read_to_string(process.join("limits")).ok()?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    let limit: f64 = line.split_whitespace().next()?.parse().ok()?;
    let used = kilobytes(&fs::read_to_string(process.join("status")).ok()?, "VmSize:")?;
    Some((limit - used).max(0.0))
}

/// A line `NAME 123 kB`, in bytes.
fn kilobytes(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(1024.0 * line.split_whitespace().next()?.parse::<f64>().ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file system's root with these files.
    struct Root(PathBuf);

    impl Root {
        fn new(name: &str, files: &[(&str, &str)]) -> Root {
            let root = std::env::temp_dir().join(format!("illume-memory-{name}-{}", std::process::id()));
            for (path, text) in files {
                let path = root.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, text).unwrap();
            }
            Root(root)
        }
    }

    impl Drop for Root {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn the_tightest_group_around_counts_and_file_pages_are_free() {
        let root = Root::new(
            "v2",
            &[
                ("proc/self/cgroup", "0::/job/step\n"),
                ("sys/fs/cgroup/job/step/memory.max", "max\n"),
                ("sys/fs/cgroup/job/memory.max", "1000000\n"),
                ("sys/fs/cgroup/job/memory.current", "600000\n"),
                ("sys/fs/cgroup/job/memory.stat", "anon 100000\ninactive_file 400000\n"),
            ],
        );
        assert_eq!(control_groups(&root.0), Some(800_000.0));
    }

    #[test]
    fn a_containers_own_group_is_found_under_another_name() {
        let root = Root::new(
            "container",
            &[
                ("proc/self/cgroup", "5:cpu:/x\n4:memory,hugetlb:/outside/of/it\n"),
                ("sys/fs/cgroup/memory/memory.limit_in_bytes", "5000\n"),
                ("sys/fs/cgroup/memory/memory.usage_in_bytes", "7000\n"),
            ],
        );
        assert_eq!(control_groups(&root.0), Some(0.0));
    }

    #[test]
    fn a_limit_of_address_space_counts_what_is_used() {
        let root = Root::new(
            "limits",
            &[
                (
                    "limits",
                    "Limit  Soft Limit  Hard Limit  Units\nMax address space         4096000              unlimited            bytes\n",
                ),
                ("status", "Name: x\nVmSize:\t    1000 kB\n"),
                ("meminfo", "MemTotal: 9 kB\nMemAvailable:       5 kB\n"),
            ],
        );
        assert_eq!(address_space(&root.0), Some(3_072_000.0));
        assert_eq!(system(&root.0.join("meminfo")), Some(5120.0));
        let none = Root::new(
            "none",
            &[
                ("limits", "Max address space  unlimited  unlimited  bytes\n"),
                ("status", "VmSize: 1 kB\n"),
            ],
        );
        assert_eq!((address_space(&none.0), control_groups(&none.0)), (None, None));
        assert!(available(2) > 0.0);
    }
}
