//! Who is measured when: by turns, so that what drifts while it lasts, drifts for all.

/// What there is to do for each server.
#[derive(Clone, Copy, Debug)]
pub struct Task<'a> {
    /// Servers to measure.
    pub servers: usize,
    /// Tokens of the prompts.
    pub depths: &'a [u64],
    pub warmup: u32,
    /// Measurements at each depth that count.
    pub repeat: u32,
    pub answers: u32,
}

/// One step of a measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The server is started, and no other one runs.
    Start { server: usize },
    /// One completion at the depth of this place in the list. `turn` tells prompts apart; what is `counted` is a
    /// number from 1, and absent of a warm-up.
    Sample { server: usize, start: usize, depth: usize, turn: usize, counted: Option<u32> },
    /// The answer of this number, from 0.
    Answer { server: usize, turn: u32 },
}

/// Of servers that run side by side: each turn takes one sample of each, every second turn in reverse.
pub fn beside(task: &Task<'_>) -> Vec<Step> {
    let mut steps = Vec::new();
    for depth in 0..task.depths.len() {
        for turn in 0..task.warmup + task.repeat {
            let counted = (turn >= task.warmup).then(|| turn - task.warmup + 1);
            for server in order(task.servers, turn) {
                let turn = turn as usize;
                steps.push(Step::Sample { server, start: 0, depth, turn, counted });
            }
        }
    }
    for turn in 0..task.answers {
        steps.extend((0..task.servers).map(|server| Step::Answer { server, turn }));
    }
    steps
}

/// Of servers of which one runs at a time, each of them started so many times, A B, B A, A B, ... Two starts of one
/// server in a row are two all the same: what a start happens to decide must not count twice.
pub fn one_by_one(task: &Task<'_>, starts: u32) -> Vec<Step> {
    let mut steps = Vec::new();
    let each = per_start(task.repeat, starts);
    for start in 0..starts {
        for server in order(task.servers, start) {
            steps.push(Step::Start { server });
            for depth in 0..task.depths.len() {
                for turn in 0..task.warmup + each {
                    let counted =
                        (turn >= task.warmup).then(|| start * each + turn - task.warmup + 1);
                    let turn = (start * (task.warmup + each) + turn) as usize;
                    let start = start as usize;
                    steps.push(Step::Sample { server, start, depth, turn, counted });
                }
            }
            let answers = (0..task.answers).filter(|answer| answer % starts == start);
            steps.extend(answers.map(|turn| Step::Answer { server, turn }));
        }
    }
    steps
}

/// As many measurements after each start, so that each says as much.
pub fn per_start(repeat: u32, starts: u32) -> u32 {
    repeat.div_ceil(starts.max(1)).max(1)
}

fn order(servers: usize, turn: u32) -> Vec<usize> {
    if turn.is_multiple_of(2) { (0..servers).collect() } else { (0..servers).rev().collect() }
}

#[cfg(test)]
mod tests {
    use super::{Step, Task, beside, one_by_one, per_start};

    const TASK: Task<'_> =
        Task { servers: 2, depths: &[512, 4096], warmup: 1, repeat: 6, answers: 2 };

    fn letter(server: usize) -> char {
        if server == 0 { 'A' } else { 'B' }
    }

    #[test]
    fn side_by_side() {
        let steps = beside(&TASK);
        let of = |wanted: usize| -> String {
            let one = |step: &Step| match step {
                Step::Sample { server, depth, .. } if *depth == wanted => Some(letter(*server)),
                _ => None,
            };
            steps.iter().filter_map(one).collect()
        };
        assert_eq!((of(0).as_str(), of(1).as_str()), ("ABBAABBAABBAAB", "ABBAABBAABBAAB"));
        assert!(!steps.iter().any(|step| matches!(step, Step::Start { .. })));
        let answers = steps.iter().filter(|step| matches!(step, Step::Answer { .. }));
        assert_eq!(answers.count(), 4);
    }

    #[test]
    fn one_by_one_each_as_often() {
        let steps = one_by_one(&TASK, 4);
        let starts: String = steps
            .iter()
            .filter_map(|step| match step {
                Step::Start { server } => Some(letter(*server)),
                _ => None,
            })
            .collect();
        assert_eq!(starts, "ABBAABBA", "drift in one direction favours neither");
        for wanted in 0..2 {
            let mut numbers = Vec::new();
            let mut turns = Vec::new();
            for step in &steps {
                if let Step::Sample { server, depth: 1, turn, counted, .. } = step
                    && *server == wanted
                {
                    numbers.extend(*counted);
                    turns.push(*turn);
                }
            }
            assert_eq!(numbers, (1..=8).collect::<Vec<_>>());
            assert_eq!(turns, (0..12).collect::<Vec<_>>(), "no two prompts are alike");
            let answers: Vec<u32> = steps
                .iter()
                .filter_map(|step| match step {
                    Step::Answer { server, turn } if *server == wanted => Some(*turn),
                    _ => None,
                })
                .collect();
            assert_eq!(answers, [0, 1]);
        }
        assert_eq!((per_start(6, 4), per_start(1, 4), per_start(8, 4)), (2, 1, 2));
    }
}
