//! Which learner learns, and whether it is there.

use illume_core::{Error, Result};

use crate::learn::{Learner, Native, Networks, Td3Config};

/// A learner that can be made here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    Native,
    #[cfg(feature = "torch")]
    Torch(tch::Device),
}

impl Choice {
    /// What `learner` (`auto`, `native`, `torch`) and `device` (`auto`, `cpu`, `cuda`) mean on this machine.
    ///
    /// # Errors
    /// What was asked for is not here.
    pub fn of(learner: &str, device: &str) -> Result<Choice> {
        if learner == "native" {
            return match device {
                "cuda" => Err(Error::config(
                    "strategy",
                    "device",
                    "the native learner runs on the CPU; for CUDA set strategy.learner = \"torch\"",
                )),
                _ => Ok(Choice::Native),
            };
        }
        torch(learner, device)
    }

    /// What a rank climbs with: the device belongs to rank 0.
    pub fn on(self, rank: usize) -> Choice {
        if rank == 0 { self } else { Choice::Native }
    }

    /// # Errors
    /// The device failed.
    pub fn learner(&self, config: &Td3Config, networks: &Networks) -> Result<Box<dyn Learner>> {
        match self {
            Choice::Native => Ok(Box::new(Native::new(config, networks))),
            #[cfg(feature = "torch")]
            Choice::Torch(device) => Ok(Box::new(crate::learn::Torch::new(config, networks, *device)?)),
        }
    }

    pub fn name(&self) -> String {
        match self {
            Choice::Native => match rayon::current_num_threads() {
                1 => "native, CPU, 1 thread".into(),
                threads => format!("native, CPU, {threads} threads"),
            },
            #[cfg(feature = "torch")]
            Choice::Torch(device) => match device {
                tch::Device::Cuda(index) => format!("torch, CUDA device {index}"),
                _ => "torch, CPU".into(),
            },
        }
    }
}

#[cfg(feature = "torch")]
fn torch(learner: &str, device: &str) -> Result<Choice> {
    // Networks of this size are trained faster by the processor: on an H200 a TD3 step is a hundred launches of kernels, which take four times
    // as long as the native learner's step on the same machine's 16 threads.
    if learner == "auto" && device != "cuda" {
        return Ok(Choice::Native);
    }
    let cuda = device != "cpu" && crate::learn::cuda_available();
    match (learner, device, cuda) {
        (_, "auto" | "cuda", true) => Ok(Choice::Torch(tch::Device::Cuda(0))),
        (_, "cuda", false) => Err(Error::config(
            "strategy",
            "device",
            format!(
                "there is no CUDA device here: {}; or set strategy.device = \"auto\"",
                crate::learn::cuda_missing(0).unwrap_or_default()
            ),
        )),
        ("torch", ..) => {
            crate::learn::with_libtorch("learner", "native")?;
            Ok(Choice::Torch(tch::Device::Cpu))
        }
        _ => Ok(Choice::Native),
    }
}

#[cfg(not(feature = "torch"))]
fn torch(learner: &str, device: &str) -> Result<Choice> {
    let lacking = |key| {
        let message = "this build has no libtorch: build with `cargo build --release --features torch` (`make build` does), or \
                       set strategy.learner = \"native\"";
        Err(Error::config("strategy", key, message))
    };
    match (learner, device) {
        ("torch", _) => lacking("learner"),
        (_, "cuda") => lacking("device"),
        _ => Ok(Choice::Native),
    }
}
