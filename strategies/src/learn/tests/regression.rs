//! Regression.

use super::*;

#[test]
fn regression_fits_a_teacher_and_its_first_step_is_the_twins() {
    let net = Network {
        layers: vec![4, 24, 3],
        hidden: Activation::Relu,
        output: Output::Tanh,
    };
    let draw = |index| {
        let mut params = vec![0.0; net.params()];
        net.init(&Stream::new(4, Purpose::Network, 0, index), &mut params);
        params
    };
    let (teacher, start) = (draw(0), draw(1));
    let inputs = normals(60, 2000 * 32 * 4);
    let targets = net.forward_rows(&teacher, &inputs);
    let run = |level, threads, steps: usize| {
        on(threads, || {
            let mut regression = Regression::at(level, &net, &start, 1e-2);
            let first = regression.fit(32, &inputs[..32 * 4 * steps], &targets[..32 * 3 * steps]);
            (regression.params(), first)
        })
    };
    let expected = run(Level::best(), 1, 40);
    for threads in [2, 3, 5] {
        assert!(run(Level::best(), threads, 40) == expected, "{threads} threads");
    }
    for level in Level::available() {
        assert!(run(level, 1, 40) == expected, "{level:?}");
    }

    let loss = |params: &[f64]| {
        let square = |r: usize| {
            let y = twin::outputs(&net, params, &twin::row(&inputs, 4, r));
            y.iter()
                .zip(twin::row(&targets, 3, r))
                .map(|(y, t)| (y - t).powi(2))
                .sum::<f64>()
        };
        (0..32).map(square).sum::<f64>() / 96.0
    };
    let mut params = double(&start);
    let g = twin::gradient(&params, loss);
    let before = loss(&params);
    twin::Adam::new(g.len()).step(1e-2, &g, &mut params);
    let (ours, first) = run(Level::best(), 1, 1);
    close(&ours, &params, 1e-5);
    assert!((first - before).abs() < 1e-6);

    let mut regression = Regression::new(net.clone(), &start, 1e-2);
    regression.fit(32, &inputs, &targets);
    regression.set_rate(1e-3);
    let last = regression.fit(32, &inputs, &targets);
    println!("{before} to {last}");
    assert!(last < before / 200.0, "{before} to {last}");
}

#[test]
fn units_without_gradient_do_not_sink_into_subnormal_numbers() {
    let net = Network {
        layers: vec![1, 1],
        hidden: Activation::Relu,
        output: Output::Linear,
    };
    let mut regression = Regression::new(net, &[0.5, 0.0], 0.0);
    // One step with a gradient, then a thousand without: the output is as wanted.
    regression.fit(1, &[1.0], &[0.0]);
    regression.fit(1, &vec![1.0; 1000], &vec![0.5; 1000]);
    let moment = regression.first_moment();
    assert!(moment.iter().all(|m| *m == 0.0), "{moment:?}");
}
