//! Networks of one shape in one tensor `[n, params]`, each row flat: a layer of all of them is one batched product, and
//! Adam and soft updates run over the whole.

use illume_core::Activation;
use tch::{Device, TchError, Tensor, no_grad};

use crate::learn::{Network, Output};

pub(super) type Tried<T> = Result<T, TchError>;

/// Adam's decay rates and epsilon.
const BETA: [f64; 2] = [0.9, 0.999];
const EPSILON: f64 = 1e-8;

/// Copies values of this shape to a device.
pub(super) fn upload(values: &[f32], shape: &[usize], device: Device) -> Tried<Tensor> {
    let shape: Vec<i64> = shape.iter().map(|n| *n as i64).collect();
    Tensor::f_from_slice(values)?.f_view(&shape[..])?.f_to(device)
}

fn download(tensor: &Tensor) -> Tried<Vec<f32>> {
    Vec::try_from(tensor.f_detach()?.f_to(Device::Cpu)?.f_flatten(0, -1)?)
}

/// Rows of `[params]`, one below the other; a row may hold several networks.
fn stacked(net: &Network, rows: &[&[f32]], device: Device) -> Tried<Tensor> {
    let all = rows.concat();
    upload(&all, &[all.len() / net.params(), net.params()], device)
}

/// Networks of one shape.
pub(super) struct Stack {
    net: Network,
    /// `[n, params]`
    flat: Tensor,
    /// Weights `[n, inputs, outputs]` and biases `[n, 1, outputs]` of each layer, views of `flat`.
    layers: Vec<[Tensor; 2]>,
}

impl Stack {
    pub(super) fn new(net: &Network, rows: &[&[f32]], device: Device) -> Tried<Stack> {
        Stack::of(net, stacked(net, rows, device)?)
    }

    fn of(net: &Network, flat: Tensor) -> Tried<Stack> {
        let (mut layers, mut at) = (Vec::new(), 0);
        for pair in net.layers.windows(2) {
            let [inputs, outputs] = [pair[0] as i64, pair[1] as i64];
            let mut view = |rows: i64| -> Tried<Tensor> {
                let part = flat.f_narrow(1, at, rows * outputs)?;
                at += rows * outputs;
                part.f_view([-1, rows, outputs])?.f_detach()
            };
            layers.push([view(inputs)?, view(1)?]);
        }
        let net = net.clone();
        Ok(Stack { net, flat, layers })
    }

    /// The same networks with gradients.
    pub(super) fn trained(self) -> Tried<Stack> {
        for parameter in self.layers.iter().flatten() {
            let _ = parameter.f_set_requires_grad(true)?;
        }
        Ok(self)
    }

    /// One of the networks, in the same memory, without gradients.
    pub(super) fn only(&self, index: i64) -> Tried<Stack> {
        Stack::of(&self.net, self.flat.f_narrow(0, index, 1)?)
    }

    /// Outputs `[n, rows, outputs]` for inputs `[n, rows, inputs]`.
    pub(super) fn forward(&self, inputs: &Tensor) -> Tried<Tensor> {
        let mut x = inputs.shallow_clone();
        for (l, [weights, bias]) in self.layers.iter().enumerate() {
            let sums = bias.f_baddbmm(&x, weights, 1, 1)?;
            let last = l + 1 == self.layers.len();
            x = match (last, self.net.output, self.net.hidden) {
                (true, Output::Linear, _) => sums,
                (true, Output::Tanh, _) | (false, _, Activation::Tanh) => sums.f_tanh()?,
                (false, _, Activation::Relu) => sums.f_relu()?,
            };
        }
        Ok(x)
    }

    /// Outputs `[n, rows, outputs]` for inputs `[rows, inputs]` that all networks share.
    pub(super) fn forward_shared(&self, inputs: &Tensor) -> Tried<Tensor> {
        let n = self.flat.size()[0];
        self.forward(&inputs.f_unsqueeze(0)?.f_expand([n, -1, -1], false)?)
    }

    /// The gradient `[n, params]` of a loss.
    fn gradient(&self, loss: &Tensor) -> Tried<Tensor> {
        let parameters: Vec<&Tensor> = self.layers.iter().flatten().collect();
        let parts = Tensor::f_run_backward(&[loss], &parameters, false, false)?;
        let flat = parts.iter().map(|part| part.f_flatten(1, 2));
        Tensor::f_cat(&flat.collect::<Tried<Vec<_>>>()?, 1)
    }

    /// Goes a share `tau` of the way to others.
    pub(super) fn approach(&mut self, others: &Stack, tau: f64) -> Tried<()> {
        no_grad(|| self.flat.f_lerp_(&others.flat, tau)).map(drop)
    }

    /// `[n * params]`
    pub(super) fn download(&self) -> Tried<Vec<f32>> {
        download(&self.flat)
    }
}

/// Adam's two moments of a stack, `[n, params]` each.
pub(super) struct Moments([Tensor; 2]);

impl Moments {
    pub(super) fn new(net: &Network, rows: [&[&[f32]]; 2], device: Device) -> Tried<Moments> {
        Ok(Moments([
            stacked(net, rows[0], device)?,
            stacked(net, rows[1], device)?,
        ]))
    }

    pub(super) fn zero(stack: &Stack) -> Tried<Moments> {
        Ok(Moments([stack.flat.f_zeros_like()?, stack.flat.f_zeros_like()?]))
    }

    /// Step number `t`, from 1, against the gradient of a loss.
    pub(super) fn descend(&mut self, stack: &mut Stack, loss: &Tensor, rate: f64, t: u64) -> Tried<()> {
        let gradient = stack.gradient(loss)?;
        let Moments([m, v]) = self;
        no_grad(|| {
            let corrections = BETA.map(|beta| 1.0 - beta.powf(t as f64));
            let _ = m.f_lerp_(&gradient, 1.0 - BETA[0])?;
            let _ = v.f_lerp_(&gradient.f_square()?, 1.0 - BETA[1])?;
            let mut root = v.f_mul_scalar(1.0 / corrections[1])?.f_sqrt()?;
            let step = m.f_mul_scalar(-rate / corrections[0])?;
            let _ = stack.flat.f_addcdiv_(&step, &root.f_add_scalar_(EPSILON)?)?;
            Ok(())
        })
    }

    pub(super) fn download(&self) -> Tried<[Vec<f32>; 2]> {
        Ok([download(&self.0[0])?, download(&self.0[1])?])
    }
}
