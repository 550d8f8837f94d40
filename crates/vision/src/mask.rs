//! Masks: cleaning them, and the connected groups in them.

/// A mask of zeros and ones, row by row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mask {
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) cells: Vec<u8>,
}

/// A group of cells that touch each other, corners included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Group {
    /// Leftmost column.
    pub(crate) left: usize,
    /// Topmost row.
    pub(crate) top: usize,
    /// Rightmost column, inclusive.
    pub(crate) right: usize,
    /// Lowest row, inclusive.
    pub(crate) bottom: usize,
    /// Sum of the weights of the group's cells.
    pub(crate) weight: u32,
}

impl Mask {
    pub(crate) fn new(width: usize, height: usize) -> Self {
        Self { width, height, cells: vec![0; width * height] }
    }

    /// A cell counts when at least `votes` of the nine cells around and including it do; beyond the edge
    /// nothing counts.
    pub(crate) fn vote(&self, votes: u8) -> Self {
        let sums = self.box_sums(1, 1);
        let cells = sums.iter().map(|sum| u8::from(*sum >= u16::from(votes))).collect();
        Self { cells, ..*self }
    }

    /// A cell counts when any cell within `across` columns and `along` rows does.
    pub(crate) fn dilate(&self, across: usize, along: usize) -> Self {
        let sums = self.box_sums(across, along);
        let cells = sums.iter().map(|sum| u8::from(*sum > 0)).collect();
        Self { cells, ..*self }
    }

    /// For every cell the number of ones within `across` columns and `along` rows.
    fn box_sums(&self, across: usize, along: usize) -> Vec<u16> {
        let (width, height) = (self.width, self.height);
        let mut rows = vec![0u16; width * height];
        for (from, to) in self.cells.chunks_exact(width).zip(rows.chunks_exact_mut(width)) {
            let mut sum: u16 = from.iter().take(across).map(|cell| u16::from(*cell)).sum();
            for x in 0..width {
                sum += from.get(x + across).map_or(0, |cell| u16::from(*cell));
                if x > across {
                    sum -= u16::from(from[x - across - 1]);
                }
                to[x] = sum;
            }
        }
        let mut sums = vec![0u16; width * height];
        for y in 0..height {
            let target = &mut sums[y * width..(y + 1) * width];
            for source in rows[y.saturating_sub(along) * width..]
                .chunks_exact(width)
                .take((y + along).min(height - 1) - y.saturating_sub(along) + 1)
            {
                for (sum, row) in target.iter_mut().zip(source) {
                    *sum += row;
                }
            }
        }
        sums
    }

    /// The groups of touching cells; a group's weight is the number of its cells that also count in `weights`.
    pub(crate) fn groups(&self, weights: &Self) -> Vec<Group> {
        let mut groups = Vec::new();
        let mut left_over = self.cells.clone();
        let mut open = Vec::new();
        for start in 0..left_over.len() {
            if left_over[start] == 0 {
                continue;
            }
            let (x, y) = (start % self.width, start / self.width);
            let mut group = Group { left: x, top: y, right: x, bottom: y, weight: 0 };
            left_over[start] = 0;
            open.push(start);
            while let Some(cell) = open.pop() {
                let (x, y) = (cell % self.width, cell / self.width);
                group.left = group.left.min(x);
                group.right = group.right.max(x);
                group.top = group.top.min(y);
                group.bottom = group.bottom.max(y);
                group.weight += u32::from(weights.cells[cell]);
                for ny in y.saturating_sub(1)..=(y + 1).min(self.height - 1) {
                    for nx in x.saturating_sub(1)..=(x + 1).min(self.width - 1) {
                        let neighbour = ny * self.width + nx;
                        if left_over[neighbour] != 0 {
                            left_over[neighbour] = 0;
                            open.push(neighbour);
                        }
                    }
                }
            }
            groups.push(group);
        }
        groups
    }
}
