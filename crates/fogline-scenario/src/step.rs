//! Steps of a play: tasks, and blocks of them.

use crate::{Place, Spanned, Task};

/// One item of a list of tasks.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// A task.
    Task(Box<Task>),
    /// `block:` with what belongs to it.
    Block(Block),
}

/// Steps that are tried together. The block's keywords have been given to its tasks already.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Where it begins.
    pub place: Place,
    /// `name:`, a template.
    pub name: Option<Spanned<String>>,
    /// `block:`; a host that fails leaves it.
    pub block: Vec<Step>,
    /// `rescue:`, for the hosts that failed in the block.
    pub rescue: Vec<Step>,
    /// `always:`, for all hosts, whatever became of them.
    pub always: Vec<Step>,
}

impl Step {
    /// Where it begins.
    pub const fn place(&self) -> &Place {
        match self {
            Self::Task(task) => &task.place,
            Self::Block(block) => &block.place,
        }
    }

    /// All tasks in it, in the order of the file.
    pub fn tasks(&self) -> Vec<&Task> {
        match self {
            Self::Task(task) => vec![task.as_ref()],
            Self::Block(block) => block.steps().flat_map(Self::tasks).collect(),
        }
    }

    /// Changes all tasks in it, in the order of the file.
    pub fn change_tasks(&mut self, change: &mut impl FnMut(&mut Task)) {
        match self {
            Self::Task(task) => change(task),
            Self::Block(block) => {
                for steps in [&mut block.block, &mut block.rescue, &mut block.always] {
                    steps.iter_mut().for_each(|step| step.change_tasks(&mut *change));
                }
            }
        }
    }
}

impl Block {
    /// The steps of all three lists.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.block.iter().chain(&self.rescue).chain(&self.always)
    }
}
