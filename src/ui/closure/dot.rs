//! `--format dot`: a graph for graphviz. Names are quoted, so that a file name cannot add edges.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::{Answer, elf_program, escape_bytes, needer_path, text_of};
use crate::elf::Closure;

/// One graph for all answers; objects that several programs share are one node.
#[must_use]
pub fn dot(answers: &[Answer]) -> Vec<u8> {
    let mut graph = Graph::default();
    for answer in answers {
        if let Answer::Found(closure) = answer {
            graph.add(closure);
        }
    }
    let mut out = String::from("digraph closure {\n  rankdir=LR;\n  node [shape=box];\n");
    for line in graph.nodes.iter().chain(&graph.edges) {
        out.push_str(line);
    }
    out.push_str("}\n");
    out.into_bytes()
}

#[derive(Default)]
struct Graph {
    nodes: BTreeSet<String>,
    edges: BTreeSet<String>,
}

impl Graph {
    fn add(&mut self, closure: &Closure) {
        self.node(&text_of(&closure.program), "style=bold");
        let mut from = text_of(&closure.program);
        for step in &closure.script {
            let to = text_of(&step.program);
            let label = if step.through_env { "env" } else { "#!" };
            self.edge(&from, &to, label);
            if let Some(closure) = &step.closure {
                self.add(closure);
            }
            from = to;
        }
        let program = text_of(elf_program(closure));
        if let Some(interpreter) = &closure.interpreter {
            let loader = text_of(&interpreter.path);
            self.edge(&program, &loader, "interpreter");
            for needer in &interpreter.needed_by {
                let from = needer_path(closure, *needer).map(text_of);
                self.edge(&from.unwrap_or_default(), &loader, "");
            }
        }
        for object in &closure.objects {
            for needer in &object.needed_by {
                let from =
                    needer_path(closure, *needer).map_or_else(|| "LD_PRELOAD".to_string(), text_of);
                self.edge(&from, &text_of(&object.path), object.found_by.word());
            }
        }
        for missing in &closure.missing {
            let name = escape_bytes(&missing.name);
            self.node(&name, "color=red");
            if let Some(from) = needer_path(closure, missing.needed_by) {
                self.edge(&text_of(from), &name, "missing");
            }
        }
    }

    fn node(&mut self, name: &str, attributes: &str) {
        self.nodes
            .insert(format!("  {} [{attributes}];\n", quoted(name)));
    }

    fn edge(&mut self, from: &str, to: &str, label: &str) {
        let mut line = format!("  {} -> {}", quoted(from), quoted(to));
        if !label.is_empty() {
            write!(line, " [label={}]", quoted(label)).ok();
        }
        line.push_str(";\n");
        self.edges.insert(line);
    }
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
