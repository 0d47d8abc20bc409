// What FDIWN's interaction block has beside its units: convolutions, and the end of its fusion.
//
// Values are [samples, rows, width, channels] or [samples, pixels, channels]. R is the type of
// features, L that of convolutions. Gradients of parameters come per sample.
#pragma once

#include "units.h"

namespace {

// A 3x3 convolution without a bias; X is the type of what it reads and gives.
template <class R, class L, class X>
void convolve(long samples, long rows, long width, long inputs, long outputs, const X* x,
              const R* weights, X* out) {
    const long pixels = rows * width;
    const auto packed = straight<L>(weights, (const R*)nullptr, 9 * inputs, outputs);
#pragma omp parallel for schedule(static)
    for (long s = 0; s < samples; s++) {
        Scratch& scratch = Scratch::fresh();
        const L* low = narrow<L>(scratch, x + s * pixels * inputs, pixels * inputs);
        Bordered<L> bordered(scratch, low, rows, width, inputs);
        product_into(bordered.source(), packed, rows, width, out + s * pixels * outputs, outputs);
    }
}

template <class R, class L, class X>
void convolve_backward(long samples, long rows, long width, long inputs, long outputs,
                       const X* grad, const X* x, const R* weights, X* by_x, R* by_weights) {
    const long pixels = rows * width;
    const auto packed = turned<L>(weights, inputs, outputs);
#pragma omp parallel for schedule(static)
    for (long s = 0; s < samples; s++) {
        Scratch& scratch = Scratch::fresh();
        const L* low = narrow<L>(scratch, x + s * pixels * inputs, pixels * inputs);
        // A copy, since products read a vector beyond the end.
        L* grads = scratch.take<L>(pixels * outputs);
        for (long i = 0; i < pixels * outputs; i++)
            put(grads[i], wide(grad[s * pixels * outputs + i]));
        Bordered<L> around(scratch, grads, rows, width, outputs);
        product_into(around.source(), packed, rows, width, by_x + s * pixels * inputs, inputs);
        Bordered<L> bordered(scratch, low, rows, width, inputs);
        convolution_gradient(scratch, bordered, grads, outputs,
                             by_weights + s * 9 * inputs * outputs, (R*)nullptr);
    }
}

// Two pictures of C channels side by side.
template <class R, class L>
void join(long samples, long pixels, const R* a, const R* b, L* out) {
#pragma omp parallel for schedule(static)
    for (long s = 0; s < samples; s++)
        for (long i = s * pixels; i < (s + 1) * pixels; i++)
            for (long c = 0; c < C; c += Vectors<R>::WIDTH) {
                store(out + i * 2 * C + c, Vectors<R>::load(a + i * C + c), C);
                store(out + i * 2 * C + C + c, Vectors<R>::load(b + i * C + c), C);
            }
}

template <class R, class L>
void join_backward(long samples, long pixels, const L* grad, R* by_a, R* by_b) {
#pragma omp parallel for schedule(static)
    for (long s = 0; s < samples; s++)
        for (long i = s * pixels; i < (s + 1) * pixels; i++)
            for (long c = 0; c < C; c += Vectors<L>::WIDTH) {
                store(by_a + i * C + c, Vectors<L>::widened(grad + i * 2 * C + c), C);
                store(by_b + i * C + c, Vectors<L>::widened(grad + i * 2 * C + C + c), C);
            }
}

// The end of a block: t * sigmoid(a * t + d), its channels shuffled in two groups, for
// t = x + sigmoid(z * weights) * b + fused. `gate` and `t` are for the gradient, as is `kept`.
template <class R, class L>
void close(long samples, long pixels, const R* x, const R* b, const R* fused, const L* z,
           const R* weights, const R* vectors, double epsilon, R* out, L* gate, R* t, R* kept) {
    constexpr long H = C / 2;
    const auto packed = straight<L>(weights, (const R*)nullptr, 2 * C, C);
#pragma omp parallel for schedule(static)
    for (long s = 0; s < samples; s++) {
        Scratch& scratch = Scratch::fresh();
        R* gated = scratch.take<R>(pixels * C);
        const long start = s * pixels * C;
        L* gates = gate + start;
        R *ts = t + start, *outs = out + start;
        product_into(flat(z + 2 * start, 2 * C), packed, 1, pixels, gates, C);
INDEPENDENT
        for (long i = 0; i < pixels * C; i++)
            ts[i] = x[start + i] + sigmoid(R(wide(gates[i]))) * b[start + i] + fused[start + i];
        gated_sum(pixels, ts, vectors, R(epsilon), R(1), ts, R(0), gated, kept + s * 2 * C);
        for (long i = 0; i < pixels; i++)
INDEPENDENT
            for (long c = 0; c < H; c++) {
                outs[i * C + 2 * c] = gated[i * C + c];
                outs[i * C + 2 * c + 1] = gated[i * C + H + c];
            }
    }
}

// The gradient of x and of `fused` is `by_t`.
template <class R, class L>
void close_backward(long samples, long pixels, const R* grad, const R* b, const L* z,
                    const R* weights, const R* vectors, const L* gate, const R* t, const R* kept,
                    R* by_t, R* by_b, L* by_z, R* by_weights, R* by_vectors) {
    constexpr long H = C / 2;
    const auto packed = transposed<L>(weights, C, 2 * C);
#pragma omp parallel for schedule(static)
    for (long s = 0; s < samples; s++) {
        Scratch& scratch = Scratch::fresh();
        R *by_gated = scratch.take<R>(pixels * C), *part = scratch.take<R>(pixels * C);
        L* by_gate = scratch.take<L>(pixels * C);
        const long start = s * pixels * C;
        const R* grads = grad + start;
        for (long i = 0; i < pixels; i++)
INDEPENDENT
            for (long c = 0; c < H; c++) {
                by_gated[i * C + c] = grads[i * C + 2 * c];
                by_gated[i * C + H + c] = grads[i * C + 2 * c + 1];
            }
        R unused[2];
        gated_sum_backward(pixels, by_gated, t + start, vectors, R(1), t + start,
                           kept + s * 2 * C, by_t + start, by_vectors + s * 3 * C, unused,
                           unused + 1, part);
INDEPENDENT
        for (long i = 0; i < pixels * C; i++) {
            R open = sigmoid(R(wide(gate[start + i]))), through = by_t[start + i] * open;
            by_b[start + i] = through;
            put(by_gate[i], through * b[start + i] * (1 - open));
        }
        product_into(flat<L>(by_gate, C), packed, 1, pixels, by_z + 2 * start, 2 * C);
        product_gradient(scratch, z + 2 * start, 2 * C, 2 * C, by_gate, C, pixels, C,
                         by_weights + s * 2 * C * C, (R*)nullptr);
    }
}

}  // namespace
