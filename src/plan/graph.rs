//! Which entry needs which other one, and the order that follows.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};

use petgraph::algo::tarjan_scc;
use petgraph::graphmap::DiGraphMap;

use super::relation::Relation;

/// A package that an entry makes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Makes {
    /// Its name.
    pub name: String,
    /// Its full version, where it is known before the build.
    pub version: Option<String>,
    /// What else it stands in for.
    pub provides: Vec<String>,
    /// What it needs to run.
    pub depends: Vec<String>,
}

impl Makes {
    /// Whether it satisfies a dependency, as far as that is known. Where its version is not known, that of what it
    /// provides is not either: `provides=("libfoo=$pkgver")`.
    fn may_satisfy(&self, relation: &Relation<'_>) -> bool {
        let version = self.version.as_deref();
        let by_provision = |provision: &String| match (version, provision.split_once('=')) {
            (None, Some((name, _))) => relation.is_satisfied_by(name, None),
            _ => relation.is_satisfied_by_provision(provision),
        };
        relation.is_satisfied_by(&self.name, version) || self.provides.iter().any(by_provision)
    }
}

/// One entry, as far as order is concerned.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// The pacman repository that it publishes to, the only one of the list's that its build can install from.
    pub repo: String,
    /// The packages that it makes.
    pub makes: Vec<Makes>,
    /// What its build needs to be installed.
    pub requires: Vec<String>,
}

/// For each entry: the entries that it needs, each with the dependencies that this one satisfies.
pub type Needs = Vec<BTreeMap<usize, BTreeSet<String>>>;

/// Finds out which entry needs which. What a needed package itself needs to run must be there too when
/// it is installed, so that is followed all the way.
pub fn needs(nodes: &[Node]) -> Needs {
    let index = Index::new(nodes);
    (0..nodes.len()).map(|node| index.needs_of(node)).collect()
}

struct Index<'a> {
    nodes: &'a [Node],
    /// Who makes or provides a name in a repository: entry and package.
    makers: HashMap<(&'a str, &'a str), Vec<(usize, usize)>>,
}

impl<'a> Index<'a> {
    fn new(nodes: &'a [Node]) -> Self {
        let mut makers: HashMap<(&str, &str), Vec<(usize, usize)>> = HashMap::new();
        for (entry, node) in nodes.iter().enumerate() {
            for (package, made) in node.makes.iter().enumerate() {
                makers.entry((&node.repo, &made.name)).or_default().push((entry, package));
                for provision in &made.provides {
                    let name = provision.split('=').next().unwrap_or(provision);
                    makers.entry((&node.repo, name)).or_default().push((entry, package));
                }
            }
        }
        Self { nodes, makers }
    }

    fn needs_of(&self, node: usize) -> BTreeMap<usize, BTreeSet<String>> {
        let repo = self.nodes[node].repo.as_str();
        let mut found: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        let mut followed = BTreeSet::new();
        let mut open: Vec<&str> = self.nodes[node].requires.iter().map(String::as_str).collect();
        while let Some(wanted) = open.pop() {
            if !seen.insert(wanted) {
                continue;
            }
            let relation = Relation::parse(wanted);
            for &(entry, package) in self.makers.get(&(repo, relation.name)).into_iter().flatten() {
                let made = &self.nodes[entry].makes[package];
                if made.may_satisfy(&relation) {
                    if entry != node {
                        found.entry(entry).or_default().insert(wanted.to_owned());
                    }
                    if followed.insert((entry, package)) {
                        open.extend(made.depends.iter().map(String::as_str));
                    }
                }
            }
        }
        found
    }
}

/// The order to build in, and the cycles that stand in its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// All entries, each after those that it needs, otherwise in the order of the list.
    pub sequence: Vec<usize>,
    /// Entries that need each other, in the order of the list.
    pub cycles: Vec<Vec<usize>>,
}

/// Puts entries in order. Those of a cycle stay together, in the order of the list.
pub fn order(needs: &Needs) -> Order {
    let mut graph = DiGraphMap::<usize, ()>::new();
    for (node, needed) in needs.iter().enumerate() {
        graph.add_node(node);
        for &other in needed.keys() {
            graph.add_edge(other, node, ());
        }
    }
    let mut groups: Vec<Vec<usize>> = tarjan_scc(&graph);
    groups.iter_mut().for_each(|group| group.sort_unstable());
    let mut group_of = vec![0; needs.len()];
    for (group, members) in groups.iter().enumerate() {
        members.iter().for_each(|&member| group_of[member] = group);
    }
    let mut followers: Vec<BTreeSet<usize>> = vec![BTreeSet::new(); groups.len()];
    let mut waiting_for = vec![0_usize; groups.len()];
    for (node, needed) in needs.iter().enumerate() {
        for &other in needed.keys() {
            let (from, to) = (group_of[other], group_of[node]);
            if from != to && followers[from].insert(to) {
                waiting_for[to] += 1;
            }
        }
    }
    let mut sequence = Vec::with_capacity(needs.len());
    let mut ready: BinaryHeap<Reverse<(usize, usize)>> = (0..groups.len())
        .filter(|&group| waiting_for[group] == 0)
        .map(|group| Reverse((groups[group][0], group)))
        .collect();
    while let Some(Reverse((_, group))) = ready.pop() {
        sequence.extend(&groups[group]);
        for &next in &followers[group] {
            waiting_for[next] -= 1;
            if waiting_for[next] == 0 {
                ready.push(Reverse((groups[next][0], next)));
            }
        }
    }
    let mut cycles: Vec<Vec<usize>> = groups.into_iter().filter(|group| group.len() > 1).collect();
    cycles.sort_unstable();
    Order { sequence, cycles }
}

/// The entries that are tied to each other by needs, in any direction: a group a component.
pub fn components(needs: &Needs) -> Vec<Vec<usize>> {
    let mut union = petgraph::unionfind::UnionFind::<usize>::new(needs.len());
    for (node, needed) in needs.iter().enumerate() {
        for &other in needed.keys() {
            union.union(node, other);
        }
    }
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for node in 0..needs.len() {
        groups.entry(union.find(node)).or_default().push(node);
    }
    groups.into_values().collect()
}
