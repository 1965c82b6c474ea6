//! Many notices as one message: a receiver that was away, or a busy study,
//! must not be followed by a flood.

use super::message::{Message, Stamp};
use super::words::Words;
use crate::model::notice::{NoticeId, Waiting};
use crate::model::notify::{Kind, Language};
use crate::report::phrase::cut;

/// So many at once make a digest.
const LEAST: usize = 4;
/// A line of it takes at most so many columns.
const LINE: usize = 120;

/// A digest has at most so many notices.
pub const MOST: usize = 50;

/// What is sent next of what waits, with the notices that it stands for: the
/// first alone, or a digest of `most` of them. `None` where nothing waits.
pub fn next(
    waiting: &[Waiting],
    most: usize,
    stamp: &Stamp,
    language: Language,
) -> Option<(Message, Vec<NoticeId>)> {
    let taken = if waiting.len() < LEAST { 1 } else { most };
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::base::clock::Timestamp;
    use crate::model::event::{Event, Fact};
    use crate::model::notice::Notice;
    use crate::model::spec::SamplerKind;
    use crate::model::study::Study;
    use crate::search::simulation::{list, space, spec};

    fn waiting(count: u64) -> Vec<Waiting> {
        let space = space(vec![list("N", "1 2", "")], &[]);
        let mut study = Study::new(Arc::new(spec(space, SamplerKind::Grid)));
        for number in 1..=count {
            let notice = Notice {
                id: NoticeId(number),
                kind: if number == 1 { Kind::Start } else { Kind::Best },
                trial: None,
                title: format!("number {number} {}", "好".repeat(100)),
                text: "more".to_owned(),
                channels: vec!["a".into()],
            };
            let at = Timestamp::from_millis(0);
            let event = Event::NoticeQueued(Arc::new(notice));
            study.apply(&Fact { at, event }).expect("it fits");
        }
        study.outbox().waiting("a").cloned().collect()
    }

    fn taken(count: u64) -> Option<(Message, Vec<NoticeId>)> {
        let stamp = Stamp {
            study: "s".to_owned(),
            begun: Timestamp::from_millis(255),
            host: "h".to_owned(),
        };
        next(&waiting(count), MOST, &stamp, Language::English)
    }

    #[test]
    fn few_go_one_by_one_and_many_together() {
        assert!(taken(0).is_none());
        let (one, notices) = taken(3).expect("something");
        assert_eq!(
            (one.id.as_str(), one.kind, notices.len()),
            ("s-ff-1", "start", 1)
        );
        let (digest, notices) = taken(4).expect("something");
        assert_eq!(
            (digest.id.as_str(), digest.kind, notices.len()),
            ("s-ff-1-4", "digest", 4)
        );
        assert_eq!(digest.title, "[s] 4 messages: 1 start, 3 best");
        assert_eq!(digest.ids, ["s-ff-1", "s-ff-2", "s-ff-3", "s-ff-4"]);
        assert_eq!(digest.text.lines().count(), 4);
        let (digest, notices) = taken(300).expect("something");
        assert_eq!((notices.len(), digest.ids.len()), (50, 50));
        // A card of Feishu may have 30 KB.
        assert!(digest.text.len() < 15_000, "{}", digest.text.len());
    }
}
