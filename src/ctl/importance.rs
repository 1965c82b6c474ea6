//! `autotunectl importance`.

use super::exit::Exit;
use super::session::{Session, Trouble};
use crate::base::wrap::wrap;
use crate::report::phrase::clean;
use crate::term::number::{FIGURES, significant};
use crate::term::tables::{Column, DEFAULT_WIDTH, Table};
use crate::wire::reply::{Forecast, Importance, Known, Reply};
use crate::wire::request::Request;

/// Shows what the parameters matter, as a model of the trials sees it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  autotunectl importance
  autotunectl importance --parameter BATCH

A share is how much of what the objective differs by over the whole space comes
from that parameter alone, by functional analysis of variance of a Gaussian
process. The range beside it is where 9 of 10 models lie that were learned from
trials drawn anew. It is no experiment: the sampler chose the trials.")]
pub struct Args {
    /// The objective at each value of this one
    #[arg(long, value_name = "NAME")]
    parameter: Option<String>,
}

pub async fn carry_out(session: &mut Session, args: &Args) -> Result<Exit, Trouble> {
    let request = Request::Importance(args.parameter.clone());
    let Reply::Importance(found) = session.ask(&request).await? else {
        return Err(Trouble::OffTopic);
    };
    if session.json {
        session.print_json(&found)?;
    } else {
        session.print(&text(&found, args.parameter.is_some(), session.color))?;
    }
    Ok(Exit::Done)
}

pub(super) fn text(found: &Importance, one: bool, color: bool) -> String {
    let metric = clean(&found.objective.metric);
    let (trials, needed) = (found.trials, found.needed);
    let Some(known) = &found.known else {
        return format!(
            "Not known yet: {trials} of the {needed} trials are there that it takes to say \
             anything.\n"
        );
    };
    let mut text = String::new();
    let say = |text: &mut String, line: &str| {
        for line in wrap("", "", line) {
            *text += &format!("{line}\n");
        }
    };
    say(
        &mut text,
        &format!(
            "What the model believes that {metric} depends on, from {trials} trials that the \
             sampler chose; no experiment."
        ),
    );
    let trust = match known.explained {
        explained if explained <= 0.0 => "nothing".to_owned(),
        explained => percent(explained),
    };
    say(
        &mut text,
        &format!("Of what trials differ by that it had not seen, it explained {trust}."),
    );
    text.push('\n');
    if one {
        text += &values(known, color);
    } else {
        text += &parameters(known, color);
    }
    let pairs = known.pairs.iter().filter(|pair| pair.share.mean >= 0.01);
    let mut table = Table::new([
        Column::left("TOGETHER, BEYOND THAT").flexible(),
        Column::right("SHARE"),
        Column::right("9 OF 10 MODELS"),
    ]);
    let mut some = false;
    for pair in pairs {
        some = true;
        let [a, b] = &pair.names;
        let names = format!("{} × {}", clean(a), clean(b));
        table.row([names, percent(pair.share.mean), range(&pair.share)]);
    }
    if some {
        text = text + "\n" + &table.render(DEFAULT_WIDTH, color);
    }
    text
}

fn parameters(known: &Known, color: bool) -> String {
    let mut table = Table::new([
        Column::left("PARAMETER").flexible(),
        Column::right("SHARE"),
        Column::right("9 OF 10 MODELS"),
    ]);
    for effect in &known.parameters {
        table.row([
            clean(&effect.name),
            percent(effect.share.mean),
            range(&effect.share),
        ]);
    }
    table.render(DEFAULT_WIDTH, color)
}

/// The objective at each value of the one parameter that was asked for.
fn values(known: &Known, color: bool) -> String {
    let mut text = String::new();
    for effect in &known.parameters {
        text += &format!(
            "{}: {} of it, {} in 9 of 10 models\n\n",
            clean(&effect.name),
            percent(effect.share.mean),
            range(&effect.share)
        );
        let mut table = Table::new([
            Column::left("VALUE").flexible(),
            Column::right("TRIALS"),
            Column::right("EXPECTED"),
            Column::right("9 OF 10 MODELS"),
        ]);
        let number = |number| significant(number, FIGURES);
        for value in &effect.values {
            let Forecast { mean, low, high } = value.objective;
            table.row([
                value
                    .value
                    .as_deref()
                    .map_or("not active".to_owned(), clean),
                value.trials.to_string(),
                number(mean),
                format!("{} to {}", number(low), number(high)),
            ]);
        }
        text += &table.render(DEFAULT_WIDTH, color);
    }
    text
}

pub(super) fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

fn range(share: &Forecast) -> String {
    format!("{:.0} to {:.0} %", 100.0 * share.low, 100.0 * share.high)
}
