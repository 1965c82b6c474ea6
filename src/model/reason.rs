//! Reasons: what our own programs say of why something is over or broken, in
//! English and Chinese.
//!
//! The journal has them as English text, so that it can be read by itself.
//! Whoever says one says it by its constant here, which does not compile without
//! its Chinese; [`Said`] finds that again. What other programs have said stays
//! what it is.
//!
//! In a text `{0}` stands for the first of its words, as they are. In a Chinese one
//! `{0!}` stands for a reason among its words, in Chinese, and `{0?}` for what may
//! be one, else in quotation marks.

use std::fmt::Display;

/// So many reasons may be within each other, and at so many places of a text the
/// words of a program may begin. Both bound the time that a hostile text takes.
const DEPTH: usize = 4;
const BEGINNINGS: usize = 4;

/// A reason with so many words that differ from case to case.
#[derive(Clone, Copy, Debug)]
pub struct Reason<const WORDS: usize>(Texts);

/// The texts of a reason.
#[derive(Clone, Copy, Debug)]
struct Texts {
    english: &'static str,
    chinese: &'static str,
}

impl<const WORDS: usize> Reason<WORDS> {
    const fn new(english: &'static str, chinese: &'static str) -> Self {
        assert!(
            places(english) == WORDS,
            "the English text has other words than the reason"
        );
        assert!(
            places(chinese) <= WORDS,
            "the Chinese text has other words than the reason"
        );
        Self(Texts { english, chinese })
    }

    /// The reason in English, as the journal has it.
    pub fn say(&self, words: [&dyn Display; WORDS]) -> String {
        let word = |index: usize, _| words.get(index).map(ToString::to_string);
        // Each place has its word, as was checked above.
        filled(self.0.english, word).unwrap_or_default()
    }
}

/// By how many words a text asks for at least: one more than the greatest index.
const fn places(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut most) = (0, 0);
    while at + 1 < bytes.len() {
        if bytes[at] == b'{' {
            let index = (bytes[at + 1] - b'0') as usize;
            if index + 1 > most {
                most = index + 1;
            }
        }
        at += 1;
    }
    most
}

/// What stands at a place of a text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Words as they are.
    Words,
    /// A reason.
    Reason,
    /// Either.
    Either,
}

/// A text cut at its places: each with what stands before it and its index; and
/// what stands after the last.
fn cut(text: &str) -> (Vec<(&str, usize, Place)>, &str) {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{')
        && let Some((place, after)) = after.split_once('}')
    {
        let kind = match place.chars().last() {
            Some('!') => Place::Reason,
            Some('?') => Place::Either,
            _ => Place::Words,
        };
        let index = place.trim_end_matches(['!', '?']);
        parts.push((before, index.parse().unwrap_or(usize::MAX), kind));
        rest = after;
    }
    (parts, rest)
}

/// A text with its words; `None` where one is missing.
fn filled(text: &str, word: impl Fn(usize, Place) -> Option<String>) -> Option<String> {
    let (parts, last) = cut(text);
    let mut filled = String::new();
    for (before, index, place) in parts {
        filled += before;
        filled += &word(index, place)?;
    }
    Some(filled + last)
}

impl Texts {
    /// The words with which this reason is `text`.
    fn words<'a>(&self, text: &'a str) -> Option<Vec<&'a str>> {
        let (parts, last) = cut(self.english);
        let Some((first, ..)) = parts.first() else {
            return (self.english == text).then(Vec::new);
        };
        let mut rest = text.strip_prefix(first)?;
        let mut words = Vec::with_capacity(parts.len());
        for (before, ..) in &parts[1..] {
            let (word, after) = rest.split_once(before)?;
            words.push(word);
            rest = after;
        }
        let word = rest.strip_suffix(last)?;
        // What stands at the very end is one thing, not whatever follows.
        let is_open = last.is_empty() && self.place(words.len()) == Place::Words;
        let is_more = is_open && [": ", "; "].iter().any(|part| word.contains(part));
        words.push(word);
        (!is_more).then_some(words)
    }

    /// What stands for a word in Chinese.
    fn place(&self, index: usize) -> Place {
        let (parts, _) = cut(self.chinese);
        let found = parts.into_iter().find(|part| part.1 == index);
        found.map_or(Place::Words, |(.., place)| place)
    }

    fn chinese(&self, text: &str, depth: usize) -> Option<String> {
        let words = self.words(text)?;
        filled(self.chinese, |index, place| {
            let word = words.get(index)?;
            let reason = || Said::within(word, depth).in_chinese();
            match place {
                Place::Words => Some((*word).to_owned()),
                Place::Reason => reason(),
                Place::Either => reason().or_else(|| Some(format!("“{word}”"))),
            }
        })
    }
}

/// What a text of the journal says, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said<'a> {
    /// Our own reason; all of the text where it is none of ours.
    pub reason: &'a str,
    /// The same in Chinese; `None` where it is none of ours.
    pub chinese: Option<String>,
    /// What a program said of it, in its own words.
    pub quoted: Option<&'a str>,
}

impl<'a> Said<'a> {
    /// Takes a text apart.
    pub fn of(text: &'a str) -> Self {
        Self::within(text, 0)
    }

    fn within(text: &'a str, depth: usize) -> Self {
        let known = |text: &str| {
            let mut all = ALL.iter().filter(|_| depth < DEPTH);
            all.find_map(|one| one.chinese(text, depth + 1))
        };
        let whole = known(text);
        let tail = |at: usize| {
            let (reason, quoted) = (&text[..at], &text[at + 2..]);
            known(reason).map(|chinese| (reason, chinese, quoted))
        };
        if whole.is_none()
            && let Some((reason, chinese, quoted)) = text
                .match_indices(": ")
                .take(BEGINNINGS)
                .find_map(|(at, _)| tail(at))
        {
            return Self {
                reason,
                chinese: Some(chinese),
                quoted: Some(quoted),
            };
        }
        Self {
            reason: text,
            chinese: whole,
            quoted: None,
        }
    }

    /// All of it in Chinese, but for what a program said; `None` where it is none
    /// of our reasons.
    pub fn in_chinese(&self) -> Option<String> {
        let chinese = self.chinese.clone()?;
        Some(match self.quoted {
            Some(quoted) => format!("{chinese}：“{quoted}”"),
            None => chinese,
        })
    }
}

/// `s` where a noun is about more than one.
pub fn plural(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident [$words:literal] = $english:literal, $chinese:literal;)*) => {
        $($(#[$doc])* pub const $name: Reason<$words> = Reason::new($english, $chinese);)*

        const ALL: &[Texts] = &[$($name.0),*];
    };
}

reasons! {
    // Why a study is done.
    /// Of `grid`.
    GRID_TRIED[0] = "every combination of the grid has been tried", "网格中的组合均已尝试";
    /// Of `random` and others.
    SPACE_TRIED[0] = "every combination of the space has been tried", "搜索空间中的组合均已尝试";
    /// Draws.
    NOTHING_NEW[1] = "{0} random draws gave nothing new that keeps the rules",
        "随机抽取 {0} 次，未得到符合规则的新组合";
    /// Of `coordinate`.
    NO_VALUE_BETTER[0] = "no value of any parameter is better: a whole pass changed nothing",
        "任何参数都没有更好的取值：整整一轮没有改变";
    /// Parameters.
    ONE_PASS[1] = "the one pass over {0} parameters is done", "{0} 个参数的一轮调整已完成";
    /// Of `coordinate`.
    ONE_PASS_OF_ONE[0] = "the one pass over the one parameter is done", "唯一参数的一轮调整已完成";
    /// Passes, parameters.
    PASSES[2] = "all {0} passes over {1} parameters are done", "{1} 个参数的 {0} 轮调整均已完成";
    /// Passes.
    PASSES_OF_ONE[1] = "all {0} passes over the one parameter are done",
        "唯一参数的 {0} 轮调整均已完成";
    /// Of `advisor`.
    NOTHING_TO_ADVISE[0] = "there is no parameter that the advisor may choose",
        "没有允许顾问选择的参数";
    /// Parameters, rounds, each with its [`plural`].
    PLAN_THROUGH[4] = "the plan is through: {0} parameter{1} in {2} round{3}",
        "计划已完成：{0} 个参数，共 {2} 轮";
    /// Asks, percent.
    CONVERGED[2] = "converged: each of the last {0} asks promised less than {1} % of improvement",
        "已收敛：最近 {0} 次提议预期的改进均小于 {1} %";
    /// Why.
    NO_BASELINE[1] = "the baseline cannot be tried: {0}", "基线无法尝试：{0?}";
    /// Trials, with the [`plural`].
    TRIALS_USED_UP[2] = "the budget of {0} trial{1} is used up", "预算已用完：{0} 个试验";
    /// Runs, with the [`plural`].
    RUNS_USED_UP[2] = "the budget of {0} run{1} is used up", "预算已用完：{0} 次评测";
    /// Hours.
    GPU_HOURS_USED_UP[1] = "the budget of {0} GPU hours is used up", "预算已用完：{0} GPU 小时";
    /// A time.
    TIME_USED_UP[1] = "the budget of {0} is used up", "预算已用完：{0}";
    /// By a user, for good.
    USER_ENDED[0] = "a user ended it", "用户结束了研究";
    /// By a user, who can take that back.
    USER_ENDED_SO_FAR[0] = "a user ended it; to go on: autotunectl resume",
        "用户结束了研究；如需继续：autotunectl resume";

    // Why it is paused.
    /// By a user.
    USER_PAUSED[0] = "a user asked for it", "用户要求暂停";
    /// How often, and why the last time.
    HOST_FAULTS[2] = "{0} times in a row the host got in the way; the last time: {1}",
        "主机连续 {0} 次出现故障；最近一次：{1?}";
    /// Where nothing is known of it.
    SEE_LOG[0] = "see the trial's log", "见试验日志";
    /// Nobody is there.
    NOBODY_APPROVES[0] = "nobody can approve of what is proposed: there is neither a control socket \
         nor a terminal, and no `approve_timeout`",
        "无人可以批准提议：既没有控制套接字，也没有终端，且未设置 `approve_timeout`";
    /// A time.
    NOBODY_ANSWERED[1] = "nobody has answered the proposal within {0}", "{0} 内无人回应提议";

    // What broke in a trial; those that have another within come before that.
    /// How it ended.
    DIED_UNREADY[1] = "{0} before it was ready", "就绪前{0!}";
    /// A time, and what was seen last.
    NOT_READY_SEEN[2] = "not ready within {0}: {1}", "{0} 内未就绪：{1?}";
    /// How it ended.
    DIED_IN_USE[1] = "the service {0} while it was in use", "服务在使用期间{0!}";
    /// The port, and who holds it.
    PORT_IN_USE[2] = "port {0} is still in use before start, by {1}",
        "启动前端口 {0} 仍被占用：{1?}";
    /// The port, and who holds it.
    PORT_HELD[2] = "port {0} is held by {1}", "端口 {0} 被占用：{1?}";
    /// The program.
    NO_PROGRAM[1] = "`{0}` could not be started: there is no such program; check `command` and PATH",
        "无法启动 `{0}`：没有这个程序，请检查 `command` 与 PATH";
    /// The program.
    NOT_EXECUTABLE[1] = "`{0}` could not be started: it may not be executed; `chmod +x` it, or name \
         its interpreter",
        "无法启动 `{0}`：没有执行权限，请用 `chmod +x` 或写明其解释器";
    /// The program, and why.
    PROGRAM_NOT_STARTED[2] = "`{0}` could not be started: {1}", "无法启动 `{0}`：{1?}";
    /// The file, and why.
    NOT_WRITTEN[2] = "{0} could not be written: {1}", "无法写入 {0}：{1?}";
    /// What broke, and the folder.
    DISK_IS_FULL[2] = "{0} (the disk of {1} is full)", "{0!}（{1} 所在磁盘已满）";
    /// What broke.
    WARM_UP_RUN[1] = "the warm-up run {0}", "预热评测{0!}";
    /// A time.
    STALLED[1] = "told nothing for {0} (stall_timeout)", "{0} 内没有任何输出（stall_timeout）";
    /// The part, and what broke.
    PART[2] = "part {0}: {1}", "第 {0} 部分{1!}";
    /// The pattern.
    ARTIFACT_MISSING[1] = "the artifact `{0}` is missing: the run has written no such file",
        "缺少产物 `{0}`：评测未写出这样的文件";
    /// The pattern.
    PATTERN_FOUND_NOTHING[1] = "the pattern `{0}` found nothing in the output",
        "模式 `{0}` 在输出中没有匹配";
    /// Of a metric.
    NO_JSON_LINE[0] = "no line of the output is a JSON object", "输出中没有 JSON 对象行";
    /// The pointer.
    NO_RECORD[1] = "no record has a number at `{0}`", "没有记录在 `{0}` 处有数值";
    /// The metric.
    NOT_FINITE[1] = "{0} is not a finite number", "{0} 不是有限数";
    /// The processes, and the step.
    NOT_KILLED[2] = "processes {0} of step `{1}` did not end on SIGKILL",
        "步骤 `{1}` 的进程 {0} 在 SIGKILL 后仍未结束";
    /// The processes.
    HANG_IN_KERNEL[1] = "processes {0} did not end on SIGKILL: they hang in the kernel",
        "进程 {0} 在 SIGKILL 后仍未结束：卡在内核中";
    /// The processes.
    HANGS_IN_KERNEL[1] = "SIGKILL did not end process {0}: it hangs in the kernel (a sick GPU or \
         disk?)",
        "SIGKILL 未能结束进程 {0}：卡在内核中（GPU 或磁盘故障？）";
    /// How.
    RUNNER_ENDED[1] = "the runner ended ({0})", "运行进程意外结束（{0}）";
    /// What broke, and the processes.
    AND_NOT_KILLED[2] = "{0}; processes {1} did not end on SIGKILL",
        "{0!}；进程 {1} 在 SIGKILL 后仍未结束";
    /// A time, and what is in use.
    GPU_MEMORY_HELD[2] = "GPU memory did not come back within {0}: {1}",
        "{0} 内显存未释放：{1?}";
    /// What broke.
    GPU_WATCHED[1] = "{0}; with gpu_release = \"0s\" in [host] that would not count",
        "{0!}；若 [host] 中设 gpu_release = \"0s\" 则不计";
    /// None.
    NO_GPU[0] = "no GPU is seen any more", "已看不到任何 GPU";

    // How a process ended.
    /// The code.
    EXITED[1] = "exited with code {0}", "以退出码 {0} 退出";
    /// By memory.
    OUT_OF_MEMORY[0] = "was killed for want of memory", "因内存不足被终止";
    /// The signal.
    SIGNALLED[1] = "was killed by {0}", "被 {0} 终止";
    /// A time.
    TIME_LIMIT_OF[1] = "ran into its time limit of {0}", "超过时间限制 {0}";
    /// A time that is not known.
    TIME_LIMIT[0] = "ran into its time limit", "超过时间限制";
    /// By us.
    STOPPED[0] = "was stopped", "被停止";
    /// In the system's words.
    NOT_STARTED[1] = "could not be started: {0}", "无法启动：{0?}";

    // Of several metrics at once: these fit last, as whatever is around a reason.
    /// Two of them.
    BOTH[2] = "{0}; {1}", "{0!}；{1!}";
    /// The metric, and what is wrong with it.
    OF_METRIC[2] = "{0}: {1}", "{0}：{1!}";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_found_again() {
        for texts in ALL {
            // What stands for a reason is one.
            let (parts, _) = cut(texts.chinese);
            let is_reason = |index| {
                let mut parts = parts.iter();
                parts.any(|part| part.1 == index && part.2 == Place::Reason)
            };
            let english = filled(texts.english, |index, _| match is_reason(index) {
                true => Some(EXITED.say([&1])),
                false => Some(format!("{index}")),
            });
            let chinese = filled(texts.chinese, |index, place| match place {
                Place::Words => Some(format!("{index}")),
                Place::Reason => Some("以退出码 1 退出".to_owned()),
                Place::Either => Some(format!("“{index}”")),
            });
            let english = english.expect("its words");
            assert_eq!(Said::of(&english).in_chinese(), chinese, "{english}");
        }
    }

    #[test]
    fn the_words_of_programs_stay() {
        let chinese = |text: &str| Said::of(text).in_chinese();
        let oom =
            "exited with code 1 before it was ready: torch.OutOfMemoryError: CUDA out of memory";
        let said = Said::of(oom);
        assert_eq!(said.reason, "exited with code 1 before it was ready");
        assert_eq!(
            said.quoted,
            Some("torch.OutOfMemoryError: CUDA out of memory")
        );
        assert_eq!(
            said.in_chinese().as_deref(),
            Some("就绪前以退出码 1 退出：“torch.OutOfMemoryError: CUDA out of memory”")
        );
        assert_eq!(
            chinese("tps: the pattern `x: (.)` found nothing in the output; acc: no line of the output is a JSON object").as_deref(),
            Some("tps：模式 `x: (.)` 在输出中没有匹配；acc：输出中没有 JSON 对象行")
        );
        assert_eq!(
            chinese("part 3: was killed by SIGKILL: bye (the disk of /data is full)").as_deref(),
            Some("第 3 部分被 SIGKILL 终止：“bye”（/data 所在磁盘已满）")
        );
        assert_eq!(chinese("something else: entirely"), None);
        assert_eq!(Said::of("a; b: c").reason, "a; b: c");
    }

    #[test]
    fn long_texts_of_programs_take_no_time() {
        let text = "a: ".repeat(2000) + &"; ".repeat(2000);
        assert_eq!(Said::of(&text).chinese, None);
    }
}
