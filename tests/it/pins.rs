//! What a preset says to planning that is not to be found anew.

use crate::auto::{PRESET, Place, model};

/// A preset with pins for planning, and the rules that come of it, one a line.
fn pinned(pins: &str) -> (Place, Vec<String>) {
    let place = Place::new(&PRESET.replace("auto = true", &format!("auto = true\n{pins}")));
    place.write("models/m.gguf", model(40).header());
    place.ends(0, &["build", "a.toml"]);
    let line = place.line("OVERRIDE_TENSOR");
    let rules = line.trim_start_matches("OVERRIDE_TENSOR=").trim_matches('\'');
    let rules = rules.split(',').map(str::to_owned).collect();
    (place, rules)
}

#[test]
fn what_a_preset_pins_planning_keeps() {
    let (free, without) = pinned("");
    let lock = free.read("deploy/a/composegen.lock");

    let pin = r"blk\.0\.ffn_(up|gate|down)_exps=CPU";
    let (_, rules) = pinned(&format!("pinned_tensor = ['{pin}']"));
    assert_eq!(rules.first().map(String::as_str), Some(pin), "in front of what is planned");
    assert!(rules.len() > 1 && rules != without, "{rules:?}");

    let (place, rules) = pinned("pinned_layers = [3]");
    assert_eq!(rules.len(), 1, "{rules:?}");
    assert!(place.read("deploy/a/composegen.lock").contains("\nlayers = \"3\"\n"));
    let moved = regex::Regex::new(rules[0].trim_end_matches("=CPU")).unwrap();
    let moved = |layer: &i32| moved.is_match(&format!("blk.{layer}.ffn_up_exps.weight"));
    let gone = (0..40).filter(moved).count();
    assert_eq!(gone, 37);

    // A reserve is a margin for somebody else: both together decide.
    let (place, reserved) = pinned("margin = [512]\nreserve = [1024]");
    let (_, wide) = pinned("margin = [1536]");
    assert_eq!(reserved, wide);
    assert!(place.read("deploy/a/composegen.lock").contains("margin = \"1536\""));
    assert!(lock.contains("margin = \"1024\"") && !lock.contains("\nlayers ="), "{lock}");
}

#[test]
fn pins_that_cannot_be_are_named() {
    let said = |pins: &str| {
        let place = Place::new(&PRESET.replace("auto = true", &format!("auto = true\n{pins}")));
        place.write("models/m.gguf", model(40).header());
        place.ends(1, &["build", "a.toml"])
    };
    let two = said("pinned_layers = [3, \"auto\"]");
    assert!(two.contains("`pinned_layers` has 2 entries for 1 devices"), "{two}");
    let word = said("pinned_layers = [\"all\"]");
    assert!(word.contains("a list of whole numbers or \"auto\""), "{word}");
    let rule = said("pinned_tensor = ['blk\\.(=CPU']");
    assert!(rule.contains("override-regex"), "{rule}");
    let many = said("pinned_layers = [39]");
    assert!(many.contains("no-placement"), "{many}");
}

/// One number of a preset's counts for every GPU, in the alternatives as well, and is what `--reserve` says.
#[test]
fn a_reserve_of_one_number_is_for_all() {
    let asked = |pins: &str, words: &[&str]| {
        let place = Place::new(&PRESET.replace("auto = true", &format!("auto = true\n{pins}")));
        let gpu = "[[gpu]]\nmemory_mib = 4096\nfree_mib = 3900\ncompute_capability = \"8.9\"\n";
        place.write("hardware/rig.toml", gpu.repeat(2));
        place.write("models/m.gguf", model(40).header());
        let output = place.run(&[&["plan", "a.toml", "--format", "json"], words].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap()
    };
    let own = asked("reserve = [300]", &[]);
    let said = asked("", &["--reserve", "300"]);
    assert!(own["alternatives"].as_array().is_some_and(|rows| rows.len() > 5));
    assert_eq!(own, said);
    assert_ne!(own["alternatives"], asked("reserve = [300, 0]", &[])["alternatives"]);
}
