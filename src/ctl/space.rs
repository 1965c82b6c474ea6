//! `autotunectl space`.

use clap::Subcommand;

use super::exit::Exit;
use super::session::{Session, Trouble};
use super::steer::steer;
use crate::base::wrap::wrap;
use crate::report::phrase::clean;
use crate::term::color::{BOLD, DOUBTFUL};
use crate::term::tables::{Cell, Column, DEFAULT_WIDTH, Table};
use crate::wire::reply::{Domain, Parameter, Reply, Space};
use crate::wire::request::{Edit, Request, Steer};

/// Shows what may be tried, or changes it while the study runs
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  autotunectl space                       what may be tried, and what was
  autotunectl space add BATCH 64 128      try these values too
  autotunectl space remove BATCH 16       try this one no more
  autotunectl space set BATCH '[16, 32]'  try exactly these from now on
  autotunectl space reset                 back to what the spec says

The running trial is finished as it was started; what starts after it obeys.
What was tried stays known, and the best trial stays the best. A change
outlives a restart; the spec's file is not touched."
)]
pub struct Args {
    #[command(subcommand)]
    change: Option<Change>,
}

#[derive(Debug, Subcommand)]
enum Change {
    /// Adds values to a parameter's list
    #[command(after_help = "Example:\n  autotunectl space add BATCH 64 128")]
    Add {
        /// The parameter
        parameter: String,
        /// The values
        #[arg(required = true, value_name = "VALUE", allow_negative_numbers = true)]
        values: Vec<String>,
    },
    /// Takes values out of a parameter's list
    #[command(after_help = "\
Example:
  autotunectl space remove BATCH 16

The starting value cannot be taken out: all gains are measured against it.")]
    Remove {
        /// The parameter
        parameter: String,
        /// The values
        #[arg(required = true, value_name = "VALUE", allow_negative_numbers = true)]
        values: Vec<String>,
    },
    /// Gives a parameter another list or range
    #[command(after_help = "\
Examples:
  autotunectl space set BATCH '[16, 32, 64]'
  autotunectl space set MODE '[\"fast\", \"safe\"]'
  autotunectl space set RATE '{ float = [1e-5, 1e-3], log = true }'

The domain is written as in [space] of a spec; the quotes keep the shell from
taking it apart. The starting value must be in it.")]
    Set {
        /// The parameter
        parameter: String,
        /// Which values may be tried
        domain: String,
    },
    /// Adds a parameter
    #[command(after_help = "\
Examples:
  autotunectl space new CACHE '[0, 256, 1024]' --base 0
  autotunectl space new RANK '{ int = [4, 64], log = true }' --base 8 \\
    --when \"TYPE == 'lora'\"

Steps get it as an environment variable. All trials so far count as having had
the base value: give what they really ran with, such as the program's default.")]
    New {
        /// Its name
        parameter: String,
        /// Which values may be tried, as in a spec's space
        domain: String,
        /// The value that the trials so far ran with
        #[arg(long, value_name = "VALUE", allow_negative_numbers = true)]
        base: String,
        /// The condition under which it has a meaning
        #[arg(long, value_name = "CONDITION")]
        when: Option<String>,
    },
    /// Changes which parameters are explored first
    #[command(after_help = "\
Example:
  autotunectl space order BATCH MODE

These come first, in this order; the others follow in theirs.")]
    Order {
        /// The parameters
        #[arg(required = true, value_name = "PARAMETER")]
        parameters: Vec<String>,
    },
    /// Goes back to what the spec says
    #[command(after_help = "\
Examples:
  autotunectl space reset          the whole space, and the order
  autotunectl space reset BATCH    this parameter

A parameter that was added is gone then; the trials that had it stay.")]
    Reset {
        /// The parameters [default: all]
        #[arg(value_name = "PARAMETER")]
        parameters: Vec<String>,
    },
}

pub async fn carry_out(session: &mut Session, args: Args) -> Result<Exit, Trouble> {
    let edit = match args.change {
        None => return show(session).await,
        Some(Change::Add { parameter, values }) => Edit::AddValues { parameter, values },
        Some(Change::Remove { parameter, values }) => Edit::RemoveValues { parameter, values },
        Some(Change::Set { parameter, domain }) => Edit::Domain { parameter, domain },
        Some(Change::New {
            parameter,
            domain,
            base,
            when,
        }) => Edit::AddParameter {
            parameter,
            domain,
            base,
            when,
        },
        Some(Change::Order { parameters }) => Edit::Order(parameters),
        Some(Change::Reset { parameters }) => Edit::ResetSpace(parameters),
    };
    steer(session, Steer::Amend(vec![edit])).await
}

async fn show(session: &mut Session) -> Result<Exit, Trouble> {
    let mut all: Option<Space> = None;
    loop {
        let offset = all.as_ref().map_or(0, |all| all.parameters.len() as u32);
        let Reply::Space(page) = session.ask(&Request::Space(offset)).await? else {
            return Err(Trouble::OffTopic);
        };
        let got = page.parameters.len() as u32;
        let last = got == 0 || offset + got >= page.total;
        match &mut all {
            None => all = Some(*page),
            Some(all) => all.parameters.extend(page.parameters),
        }
        if last {
            break;
        }
    }
    let Some(all) = all else {
        return Err(Trouble::OffTopic);
    };
    if session.json {
        session.print_json(&all)?;
    } else {
        session.print(&text(&all, session.color))?;
    }
    Ok(Exit::Done)
}

fn text(space: &Space, color: bool) -> String {
    let mut table = Table::new([
        Column::left("PARAMETER"),
        Column::left("VALUES").folded(),
        Column::right("TRIED"),
        Column::left("START").flexible(),
        Column::left("BEST").flexible(),
    ]);
    for parameter in &space.parameters {
        let mark = if parameter.changed { " *" } else { "" };
        let name = format!("{}{mark}", clean(&parameter.name));
        let name = match parameter.changed {
            true => Cell::styled(name, BOLD),
            false => name.into(),
        };
        let best = parameter.best.as_deref().unwrap_or_default();
        table.row([
            name,
            values(parameter).into(),
            tried(parameter).into(),
            clean(&parameter.base).into(),
            clean(best).into(),
        ]);
    }
    let mut text = table.render(DEFAULT_WIDTH, color);
    let mut add = |line: String| {
        for line in wrap("", "  ", &line) {
            text += &line;
            text.push('\n');
        }
    };
    for rule in &space.rules {
        add(format!("rule: {}", clean(rule)));
    }
    for change in &space.changed {
        add(format!("* changed: {}", clean(change)));
    }
    if !space.changed.is_empty() {
        add("to go back to the spec: autotunectl space reset".to_owned());
    }
    text + &ignored(&space.ignored, color)
}

/// The changes that do not fit the spec any more.
pub fn ignored(ignored: &[String], color: bool) -> String {
    let each = ignored.iter().flat_map(|one| {
        let text = format!("does not fit the spec any more, ignored: {}", clean(one));
        wrap("", "  ", &text)
    });
    each.map(|line| format!("{}\n", crate::term::color::paint(&line, DOUBTFUL, color)))
        .collect()
}

fn values(parameter: &Parameter) -> String {
    let log = |log: bool| if log { " (log)" } else { "" };
    let mut text = match &parameter.domain {
        Domain::Values(values) => {
            let values = values.iter().map(|value| clean(&value.value));
            values.collect::<Vec<_>>().join(", ")
        }
        Domain::Int { low, high, log: is } => format!("whole, {low} to {high}{}", log(*is)),
        Domain::Float { low, high, log: is } => format!("{low} to {high}{}", log(*is)),
    };
    if let Some(when) = &parameter.when {
        text += &format!("; when {}", clean(when));
    }
    text
}

fn tried(parameter: &Parameter) -> String {
    match &parameter.domain {
        Domain::Values(values) => {
            let tried = values.iter().filter(|value| value.trials > 0).count();
            format!("{tried} of {}", values.len())
        }
        _ => parameter.tried.to_string(),
    }
}
