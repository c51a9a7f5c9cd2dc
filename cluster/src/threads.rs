//! How many threads this rank uses, and rayon's pool of them.

use illume_core::{Error, Result};

use crate::Node;
pub use crate::awake::stay_awake;
pub use crate::quiet::pin_libraries;

/// How many threads this rank uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub threads: usize,
    /// A sentence for the log: more threads than cores were asked for, or cores stay idle.
    pub warning: Option<String>,
    /// More threads than this rank's share of cores: they take turns, and none should wait by spinning.
    pub oversubscribed: bool,
}

/// As many threads as were asked for, or this rank's share of the node's cores; at least one.
pub fn plan(asked: Option<usize>, node: &Node) -> Plan {
    let Some(asked) = asked else {
        return Plan {
            threads: node.cores,
            warning: node.note.clone(),
            oversubscribed: node.crowded,
        };
    };
    let threads = asked.max(1);
    let (ranks, cores) = (node.ranks, node.cores);
    let oversubscribed = node.crowded || threads > cores;
    let warning = (threads > cores).then(|| match ranks {
        1 => format!("{threads} threads were asked for, but this process may use {cores} core(s): they will take turns"),
        _ => format!(
            "{threads} threads for each of {ranks} ranks on this node were asked for, but a rank's share is {cores} core(s): \
             they will take turns"
        ),
    });
    Plan {
        threads,
        warning,
        oversubscribed,
    }
}

/// Makes rayon's global pool of `threads` threads, of which the calling thread, to be the main one, is the first. Once per process.
///
/// # Errors
/// The pool exists already (something used rayon before), or threads cannot be started.
pub fn configure(threads: usize) -> Result<()> {
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads.max(1))
        .use_current_thread()
        .thread_name(|i| format!("illume-{i}"))
        .build_global()
        .map_err(|e| Error::failed(format!("cannot start {threads} threads: {e}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_the_default_and_more_is_warned_of() {
        let node = Node {
            ranks: 2,
            cores: 3,
            crowded: false,
            note: None,
        };
        assert_eq!(
            plan(None, &node),
            Plan {
                threads: 3,
                warning: None,
                oversubscribed: false
            }
        );
        assert_eq!(
            plan(Some(2), &node),
            Plan {
                threads: 2,
                warning: None,
                oversubscribed: false
            }
        );
        assert_eq!(plan(Some(0), &node).threads, 1);
        let many = plan(Some(4), &node);
        assert_eq!(many.threads, 4);
        assert!(many.oversubscribed && many.warning.is_some());
    }
}
