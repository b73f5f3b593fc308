//! Numbers that somebody else used up.

use remit_loops::runner::Report;

use crate::lives::running_world;

#[test]
fn numbers_that_somebody_used_up_are_not_counted_on_from() {
    let mut world = running_world();
    let seq = world.highest_seq;
    let marks = |seq, fence| Report::Marks { generation: 1, seq, fence, held: vec![] };
    for (high, fence) in [(1 << 41, 0), (0, (1 << 53) - 1)] {
        world.report(marks(high, fence)).unwrap();
        assert_eq!(world.offers(), [], "nothing is offered that the runner would refuse");
        assert_eq!(world.why("run_demo.shop.acme")[0].code, "waiting.runner_marks");
    }
    // The vendor's next root, or the customer, has the runner count anew.
    world.report(marks(0, 0)).unwrap();
    assert!(world.offers().iter().all(|offer| offer.seq <= seq + 10), "{:?}", world.offers());
    world.work_off();
    assert_eq!(world.status("ins_demo.shop.acme"), "active");
}
