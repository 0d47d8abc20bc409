// FDIWN's units, WIRW and WCRW, forward and backward: a sample after the other, so that what lies
// between their products stays in the cache. What is wide (`middle`) is computed twice, not kept.
//
// x is [samples, rows, width, inputs], of type R for a WIRW and L for a WCRW. Weights are one
// vector, see `Parts`; so are their gradients, for each sample.
#pragma once

#include <type_traits>

#include "gating.h"
#include "products.h"

namespace {

// Where what lies in a unit's weights; matrices are [from, to], a kernel's rows and columns first.
struct Parts {
    long inputs, middle, inner;
    bool shortcut;
    long expand = 0, expand_bias = expand + inputs * middle;
    long reduce = expand_bias + middle, reduce_bias = reduce + middle * inner;
    long last = reduce_bias + inner, last_bias = last + 9 * inner * C;
    long beside = last_bias + C, beside_bias = beside + (shortcut ? 9 * inputs * C : 0);
    long vectors = beside_bias + (shortcut ? C : 0), p = vectors + 3 * C, q = p + 1, size = q + 1;

    Parts(long inputs, long middle, long inner, bool shortcut)
        : inputs(inputs), middle(middle), inner(inner), shortcut(shortcut) {}
};

// A picture of `channels`, with a border of zeros.
template <class L>
struct Bordered {
    L* values;
    long rows, width, channels, row;

    Bordered(Scratch& scratch, const L* from, long rows, long width, long channels)
        : rows(rows), width(width), channels(channels), row((width + 2) * channels) {
        values = scratch.take<L>((rows + 2) * row);
        std::memset(values, 0, sizeof(L) * row);
        for (long y = 0; y < rows; y++) {
            L* to = values + (y + 1) * row;
            std::memset(to, 0, sizeof(L) * channels);
            std::memcpy(to + channels, from + y * width * channels, sizeof(L) * width * channels);
            std::memset(to + (width + 1) * channels, 0, sizeof(L) * channels);
        }
        std::memset(values + (rows + 1) * row, 0, sizeof(L) * row);
    }
    Source<L> source() const { return {values, channels, row, 3, row}; }
};

template <class L>
Source<L> flat(const L* values, long channels) {
    return {values, channels, 0, 1, 0};
}

// The weights of a 3x3 convolution [3, 3, inputs, outputs], packed for the gradient of its input.
template <class L, class R>
Packed<L> turned(const R* weights, long inputs, long outputs) {
    return Packed<L>(9 * outputs, inputs, nullptr, [=](long k, long n) {
        long tap = 8 - k / outputs, output = k % outputs;
        return weights[(tap * inputs + n) * outputs + output];
    });
}

template <class L, class R>
Packed<L> straight(const R* weights, const R* bias, long depth, long outputs) {
    return Packed<L>(depth, outputs, bias,
                     [=](long k, long n) { return weights[k * outputs + n]; });
}

template <class L, class R>
Packed<L> transposed(const R* weights, long depth, long outputs) {
    return Packed<L>(depth, outputs, nullptr,
                     [=](long k, long n) { return weights[n * depth + k]; });
}

// Gradient of a 3x3 convolution's weights [3, 3, inputs, outputs] and of its bias, if it has one.
// `grad` is of scratch memory, since a vector beyond its end may be read.
template <class L, class R>
void convolution_gradient(Scratch& scratch, const Bordered<L>& x, const L* grad, long outputs,
                          R* by_weights, R* by_bias) {
    const long w = x.width;
    Paired<L> shifted(scratch, x.values, x.rows + 2, w + 2, x.row, x.channels, 1);
    Paired<L> right(scratch, grad, x.rows, w, w * outputs, outputs, 2);
    for (int y = 0; y < 3; y++)
        gradient(shifted, y * shifted.row, 3 * x.channels, right, x.rows, w, outputs,
                 by_weights + y * 3 * x.channels * outputs);
    if (by_bias != nullptr) column_sums(right, x.rows, w, outputs, by_bias);
}

// Gradient of a product's weights [inputs, outputs] and of its bias.
template <class L, class R>
void product_gradient(Scratch& scratch, const L* x, long x_pitch, long inputs, const L* grad,
                      long grad_pitch, long pixels, long outputs, R* by_weights, R* by_bias) {
    Paired<L> left(scratch, x, 1, pixels, 0, x_pitch, 2);
    Paired<L> right(scratch, grad, 1, pixels, 0, grad_pitch, 2);
    gradient(left, 0, inputs, right, 1, pixels, outputs, by_weights);
    if (by_bias != nullptr) column_sums(right, 1, pixels, outputs, by_bias);
}

// Put products down as [pixels, pitch].
template <class L, class X>
void product_into(const Source<L>& from, const Packed<L>& weights, long rows, long width, X* to,
                  long pitch) {
    product(from, weights, rows, width, [=](long i, long n, typename Vectors<L>::V sum) {
        store(to + i * pitch + n, sum, pitch - n);
    });
}

// The wide features, behind their ReLU; what is no number stays none.
template <class L>
void expand_into(const L* x, long inputs, const Packed<L>& weights, long pixels, L* hidden,
                 long pitch) {
    product(flat(x, inputs), weights, 1, pixels, [=](long i, long n, typename Vectors<L>::V sum) {
        store(hidden + i * pitch + n, sum < 0 ? sum * 0 : sum, pitch - n);
    });
}

// Values in the type of products; themselves if they are.
template <class L, class X>
const L* narrow(Scratch& scratch, const X* x, long count) {
    if constexpr (std::is_same<X, L>::value) {
        return x;
    } else {
        L* to = scratch.take<L>(count);
        for (long i = 0; i < count; i++) put(to[i], x[i]);
        return to;
    }
}

// `inner`, `body`, `beside` (of a WCRW, or null) and `kept` (see gated_sum) are for the gradient.
template <class R, class L, class X>
void unit(long samples, long rows, long width, long inputs, long middle, long inner_channels,
          const X* x, const R* weights, double epsilon, R* out, L* inner, L* body, X* beside,
          R* kept) {
    const Parts at(inputs, middle, inner_channels, beside != nullptr);
    const long pixels = rows * width, pitch = rounded(middle, Vectors<L>::WIDTH);
    const R *w = weights, *vectors = w + at.vectors, p = w[at.p], q = w[at.q];
    const auto expand = straight<L>(w + at.expand, w + at.expand_bias, inputs, middle);
    const auto reduce = straight<L>(w + at.reduce, w + at.reduce_bias, middle, inner_channels);
    const auto last = straight<L>(w + at.last, w + at.last_bias, 9 * inner_channels, C);
    const auto aside =
        straight<L>(w + at.beside, w + at.beside_bias, at.shortcut ? 9 * inputs : 0, C);
#pragma omp parallel for schedule(static)
    for (long s = 0; s < samples; s++) {
        Scratch& scratch = Scratch::fresh();
        const X* xs = x + s * pixels * inputs;
        const L* low = narrow<L>(scratch, xs, pixels * inputs);
        L* hidden = scratch.take<L>(pixels * pitch);
        expand_into(low, inputs, expand, pixels, hidden, pitch);
        L* inners = inner + s * pixels * inner_channels;
        product_into(flat<L>(hidden, pitch), reduce, 1, pixels, inners, inner_channels);
        Bordered<L> bordered(scratch, inners, rows, width, inner_channels);
        L* bodies = body + s * pixels * C;
        product_into(bordered.source(), last, rows, width, bodies, C);
        const X* y = xs;
        if (at.shortcut) {
            Bordered<L> around(scratch, low, rows, width, inputs);
            product_into(around.source(), aside, rows, width, beside + s * pixels * C, C);
            y = beside + s * pixels * C;
        }
        gated_sum(pixels, bodies, vectors, R(epsilon), p, y, q, out + s * pixels * C,
                  kept + s * 2 * C);
    }
}

template <class R, class L, class X>
void unit_backward(long samples, long rows, long width, long inputs, long middle,
                   long inner_channels, const R* grad, const X* x, const R* weights, const L* inner,
                   const L* body, const X* beside, const R* kept, X* by_x, R* by_weights) {
    using V = typename Vectors<L>::V;
    const Parts at(inputs, middle, inner_channels, beside != nullptr);
    const long pixels = rows * width, pitch = rounded(middle, Vectors<L>::WIDTH);
    const R *w = weights, *vectors = w + at.vectors, p = w[at.p], q = w[at.q];
    const auto expand = straight<L>(w + at.expand, w + at.expand_bias, inputs, middle);
    const auto expand_turned = transposed<L>(w + at.expand, middle, inputs);
    const auto reduce_turned = transposed<L>(w + at.reduce, inner_channels, middle);
    const auto last_turned = turned<L>(w + at.last, inner_channels, C);
    const auto aside_turned = turned<L>(w + at.beside, inputs, at.shortcut ? C : 0);
#pragma omp parallel for schedule(static)
    for (long s = 0; s < samples; s++) {
        Scratch& scratch = Scratch::fresh();
        const R* grads = grad + s * pixels * C;
        const X* xs = x + s * pixels * inputs;
        R* own = by_weights + s * at.size;

        // The gated sum.
        L* by_body = scratch.take<L>(pixels * C);
        gated_sum_backward(pixels, grads, body + s * pixels * C, vectors, p,
                           at.shortcut ? beside + s * pixels * C : xs, kept + s * 2 * C, by_body,
                           own + at.vectors, own + at.p, own + at.q, scratch.take<R>(pixels * C));

        // The 3x3 convolution.
        L* by_inner = scratch.take<L>(pixels * inner_channels);
        Bordered<L> by_body_around(scratch, by_body, rows, width, C);
        product_into(by_body_around.source(), last_turned, rows, width, by_inner, inner_channels);
        Bordered<L> inners(scratch, inner + s * pixels * inner_channels, rows, width,
                           inner_channels);
        convolution_gradient(scratch, inners, by_body, C, own + at.last, own + at.last_bias);

        // The two 1x1 ones.
        const L* low = narrow<L>(scratch, xs, pixels * inputs);
        L *hidden = scratch.take<L>(pixels * pitch), *by_hidden = scratch.take<L>(pixels * pitch);
        expand_into(low, inputs, expand, pixels, hidden, pitch);
        product(flat<L>(by_inner, inner_channels), reduce_turned, 1, pixels,
                [=](long i, long n, V sum) {
                    V value = Vectors<L>::widened(hidden + i * pitch + n);
                    store(by_hidden + i * pitch + n, value > 0 ? sum : V{}, pitch - n);
                });
        product_gradient(scratch, hidden, pitch, middle, by_inner, inner_channels, pixels,
                         inner_channels, own + at.reduce, own + at.reduce_bias);
        product_gradient(scratch, low, inputs, inputs, by_hidden, pitch, pixels, middle,
                         own + at.expand, own + at.expand_bias);

        // What went beside the body, and x.
        R* by_beside = scratch.take<R>(pixels * inputs);
        if (at.shortcut) {
            L* low_grads = scratch.take<L>(pixels * C);
            for (long i = 0; i < pixels * C; i++) put(low_grads[i], grads[i] * q);
            Bordered<L> around(scratch, low_grads, rows, width, C);
            product_into(around.source(), aside_turned, rows, width, by_beside, inputs);
            Bordered<L> low_around(scratch, low, rows, width, inputs);
            convolution_gradient(scratch, low_around, low_grads, C, own + at.beside,
                                 own + at.beside_bias);
        } else {
            for (long i = 0; i < pixels * C; i++) by_beside[i] = grads[i] * q;
        }
        X* by_xs = by_x + s * pixels * inputs;
        product(flat<L>(by_hidden, pitch), expand_turned, 1, pixels, [=](long i, long n, V sum) {
            V beside = Vectors<R>::load(by_beside + i * inputs + n);
            store(by_xs + i * inputs + n, sum + beside, inputs - n);
        });
    }
}

}  // namespace
