//! A training run, as `child train` plays it: it tells its numbers as ms-swift
//! does, on its output and into a new folder of its own.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

#[derive(Args)]
pub struct Train {
    /// The accuracy that it ends at; it rises in equal steps.
    #[arg(long)]
    to: f64,
    #[arg(long, default_value_t = 100)]
    steps: u32,
    /// Go on after this step, as from a checkpoint.
    #[arg(long, default_value_t = 0)]
    after: u32,
    /// Write `logging.jsonl` into a new folder `v<N>` in this one, too.
    #[arg(long)]
    logs: Option<PathBuf>,
    /// Before this step wait until the gate is there.
    #[arg(long, default_value_t = 0)]
    gate_at: u32,
    #[arg(long)]
    gate: Option<PathBuf>,
}

impl Train {
    pub fn play(self) -> ExitCode {
        let mut log = self.logs.as_ref().map(|logs| {
            std::fs::create_dir_all(logs).expect("a folder");
            let number = std::fs::read_dir(logs).expect("a folder").count();
            let own = logs.join(format!("v{number}"));
            std::fs::create_dir(&own).expect("a new folder");
            std::fs::File::create(own.join("logging.jsonl")).expect("a new file")
        });
        for step in self.after + 1..=self.steps {
            if step == self.gate_at {
                super::await_gate(self.gate.as_ref());
            }
            let accuracy = self.to * f64::from(step) / f64::from(self.steps);
            let place = format!("{step}/{}", self.steps);
            let loss = 2.0 - accuracy;
            if let Some(log) = &mut log {
                let record = serde_json::json!({
                    "loss": loss, "accuracy": accuracy, "global_step/max_steps": place,
                });
                writeln!(log, "{record}").expect("written");
            }
            writeln!(
                io::stdout(),
                "{{'loss': '{loss:.6}', 'accuracy': '{accuracy:.6}', \
                 'global_step/max_steps': '{place}'}}"
            )
            .expect("printed");
        }
        ExitCode::SUCCESS
    }
}
