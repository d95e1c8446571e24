//! The algebra against a slow oracle: every packet of a tiny space, one by one.

use proptest::prelude::*;
use reach::{Field, Packet, Set, Store};
use words::Family;

/// Fields of the tiny space and how many values of each are enumerated.
const SPACE: [(Field, u128); 4] = [(Field::State, 5), (Field::Dst4, 6), (Field::Src4, 6), (Field::Dport, 6)];

#[derive(Debug, Clone)]
enum Expr {
    Rows(Vec<Vec<(u128, u128)>>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Minus(Box<Expr>, Box<Expr>),
    Not(Box<Expr>),
    Forget(Box<Expr>, usize),
    Assign(Box<Expr>, usize, u128),
}

fn cell() -> impl Strategy<Value = (u128, u128)> {
    prop_oneof![(0u128..6, 0u128..4).prop_map(|(a, n)| (a, a + n)), Just((0, u128::MAX)), (0u128..6).prop_map(|a| (a, a))]
}

fn expr() -> impl Strategy<Value = Expr> {
    let leaf = prop::collection::vec(prop::collection::vec(cell(), 4), 0..8).prop_map(Expr::Rows);
    leaf.prop_recursive(4, 24, 2, |inner| {
        let two = (inner.clone(), inner.clone());
        prop_oneof![
            two.clone().prop_map(|(a, b)| Expr::And(a.into(), b.into())),
            two.clone().prop_map(|(a, b)| Expr::Or(a.into(), b.into())),
            two.prop_map(|(a, b)| Expr::Minus(a.into(), b.into())),
            inner.clone().prop_map(|a| Expr::Not(a.into())),
            (inner.clone(), 0usize..4).prop_map(|(a, f)| Expr::Forget(a.into(), f)),
            (inner, 0usize..4, 0u128..5).prop_map(|(a, f, v)| Expr::Assign(a.into(), f, v)),
        ]
    })
}

fn fast(s: &mut Store, e: &Expr) -> Set {
    let fields: Vec<Field> = SPACE.iter().map(|f| f.0).collect();
    match e {
        Expr::Rows(rows) => s.rows(&fields, rows),
        Expr::And(a, b) => {
            let (a, b) = (fast(s, a), fast(s, b));
            s.and(a, b)
        }
        Expr::Or(a, b) => {
            let (a, b) = (fast(s, a), fast(s, b));
            s.or(a, b)
        }
        Expr::Minus(a, b) => {
            let (a, b) = (fast(s, a), fast(s, b));
            s.minus(a, b)
        }
        Expr::Not(a) => {
            let a = fast(s, a);
            s.not(a)
        }
        Expr::Forget(a, f) => {
            let a = fast(s, a);
            s.forget(a, SPACE[*f].0)
        }
        Expr::Assign(a, f, v) => {
            let a = fast(s, a);
            s.assign(a, SPACE[*f].0, *v, *v)
        }
    }
}

/// Every value that some interval of the generator could tell apart: 0..=9 and one far out, capped by the domain.
fn values(f: Field) -> Vec<u128> {
    (0..=9).chain([1000]).filter(|v| *v <= f.top()).collect()
}

fn slow(e: &Expr, p: [u128; 4]) -> bool {
    match e {
        Expr::Rows(rows) => rows.iter().any(|r| r.iter().zip(p).all(|(c, v)| c.0 <= v && v <= c.1)),
        Expr::And(a, b) => slow(a, p) && slow(b, p),
        Expr::Or(a, b) => slow(a, p) || slow(b, p),
        Expr::Minus(a, b) => slow(a, p) && !slow(b, p),
        Expr::Not(a) => !slow(a, p),
        Expr::Forget(a, f) => values(SPACE[*f].0).into_iter().any(|v| {
            let mut q = p;
            q[*f] = v;
            slow(a, q)
        }),
        Expr::Assign(a, f, v) => {
            p[*f] == *v
                && values(SPACE[*f].0).into_iter().any(|v| {
                    let mut q = p;
                    q[*f] = v;
                    slow(a, q)
                })
        }
    }
}

fn packet(p: [u128; 4]) -> Packet {
    SPACE.iter().zip(p).fold(Packet::opening(Family::V4), |q, ((f, _), v)| q.with(*f, v))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_packet_is_where_the_oracle_says(e in expr()) {
        let mut s = Store::new();
        let set = fast(&mut s, &e);
        let all: Vec<Vec<u128>> = SPACE.iter().map(|f| values(f.0)).collect();
        let mut count = 0;
        for a in &all[0] { for b in &all[1] { for c in &all[2] { for d in &all[3] {
            let p = [*a, *b, *c, *d];
            let expected = slow(&e, p);
            count += usize::from(expected);
            prop_assert_eq!(s.contains(set, &packet(p)), expected, "{:?}", p);
        }}}}
        prop_assert_eq!(set.is_empty(), count == 0);
        match s.pick(set, &packet([3, 1, 1, 1])) {
            Some(w) => prop_assert!(s.contains(set, &w)),
            None => prop_assert!(set.is_empty()),
        }
        let boxes = s.boxes(set, usize::MAX);
        let again: Vec<Set> = boxes.iter().map(|b| {
            let cells: Vec<Set> = SPACE.iter().map(|f| { let (x, y) = b.get(f.0); s.interval(f.0, x, y) }).collect();
            s.all(cells)
        }).collect();
        prop_assert_eq!(s.any(again), set, "boxes make the set again");
    }

    #[test]
    fn equal_sets_have_one_handle(e in expr()) {
        let mut s = Store::new();
        let set = fast(&mut s, &e);
        let n = s.not(set);
        prop_assert_eq!(s.not(n), set);
        let zero = s.and(set, n);
        prop_assert!(zero.is_empty());
        prop_assert_eq!(s.or(set, n), Set::FULL);
    }
}

#[test]
fn twenty_thousand_rows_make_the_same_set_as_one_by_one() {
    let mut s = Store::new();
    let fields = [Field::Src4, Field::Dst4, Field::Proto, Field::Dport];
    let rows: Vec<Vec<(u128, u128)>> = (0..20_000u128)
        .map(|i| {
            let (src, dst, port) = (10 << 24 | (i * 7919 % 1009), 10 << 24 | 1 << 16 | (i % 997), 1000 + i % 13);
            vec![(src, src), (dst, dst), (6, 6), (port, port)]
        })
        .collect();
    let set = s.rows(&fields, &rows);
    let sample: Vec<Set> = rows.iter().take(500).map(|r| s.row(&fields, r)).collect();
    for one in sample {
        assert!(s.within(one, set));
    }
    let back: usize =
        s.boxes(set, usize::MAX).iter().map(|b| usize::try_from(b.get(Field::Dport).1 - b.get(Field::Dport).0 + 1).expect("small")).sum();
    let mut distinct = rows.clone();
    distinct.sort();
    distinct.dedup();
    assert_eq!(back, distinct.len());
}
