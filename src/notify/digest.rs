//! Many notices as one message: a receiver that was away, or a busy study,
//! must not be followed by a flood.

use super::message::{Message, Stamp};
use super::words::Words;
use crate::model::notice::{NoticeId, Waiting};
use crate::model::notify::{Kind, Language};
use crate::report::phrase::cut;

/// So many at once make a digest.
const LEAST: usize = 4;
/// A digest has at most so many.
const MOST: usize = 50;
/// A line of it takes at most so many columns.
const LINE: usize = 120;

/// What is sent next of what waits, with the notices that it stands for: the
/// first alone, or a digest. `None` where nothing waits.
pub fn next(
    waiting: &[Waiting],
    stamp: &Stamp,
    language: Language,
) -> Option<(Message, Vec<NoticeId>)> {
    let taken = if waiting.len() < LEAST { 1 } else { MOST };
    let waiting = &waiting[..taken.min(waiting.len())];
    let (first, last) = (waiting.first()?, waiting.last()?);
    let notices: Vec<NoticeId> = waiting.iter().map(|one| one.notice.id).collect();
    if let [only] = waiting {
        return Some((stamp.message(only), notices));
    }
    let kinds = Kind::ALL.into_iter().filter_map(|kind| {
        let count = waiting.iter().filter(|one| one.notice.kind == kind).count();
        (count > 0).then(|| format!("{count} {}", kind.name()))
    });
    let kinds: Vec<String> = kinds.collect();
    let head = Words(language).digest(waiting.len(), &kinds.join(", "));
    let lines = waiting.iter().map(|one| {
        let when = one.at.local_iso().replace('T', " ");
        cut(&format!("{when}  {}", one.notice.title), LINE)
    });
    let ids = notices.iter().map(|id| stamp.id(&id.to_string()));
    let message = Message {
        id: stamp.id(&format!("{}-{}", first.notice.id, last.notice.id)),
        ids: ids.collect(),
        kind: "digest",
        study: stamp.study.clone(),
        host: stamp.host.clone(),
        at: last.at,
        title: format!("[{}] {head}", stamp.study),
        text: lines.collect::<Vec<_>>().join("\n"),
        trial: None,
    };
    Some((message, notices))
}
