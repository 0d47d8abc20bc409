// A unit's end: p * x * sigmoid(a * x + d) + q * y over the pixels of one sample; see GatedSum.
//
// R is the type of features, L that of convolutions, Y one of both.
#pragma once

#include "numbers.h"

namespace {

// a and d of a shuffle attention, from what its channels' mean and 1 / deviation are.
template <class R>
struct Gate {
    R a[C], d[C];
    Gate(const R* vectors, const R* mean, const R* root) {
        for (int c = 0; c < C; c++) {
            a[c] = vectors[C + c] * root[c];
            d[c] = (vectors[c] - a[c]) * mean[c] + vectors[2 * C + c];
        }
    }
};

// `kept`: mean and 1 / deviation, [2, C].
template <class R, class L, class Y>
void gated_sum(long pixels, const L* x, const R* vectors, R epsilon, R p, const Y* y, R q, R* out,
               R* kept) {
    R *mean = kept, *root = kept + C;
    mean_and_variance<R, L>(x, pixels, mean, root);
    for (int c = 0; c < C; c++) root[c] = 1 / std::sqrt(root[c] + epsilon);
    const Gate<R> gate(vectors, mean, root);
    for (long i = 0; i < pixels; i++)
INDEPENDENT
        for (int c = 0; c < C; c++) {
            long j = i * C + c;
            R v = wide(x[j]);
            out[j] = p * v * sigmoid(gate.a[c] * v + gate.d[c]) + q * wide(y[j]);
        }
}

// `part`: room for [pixels, C]. The gradient of y, `grad` times q, is left to the caller.
template <class R, class L, class Y>
void gated_sum_backward(long pixels, const R* grad, const L* x, const R* vectors, R p, const Y* y,
                        const R* kept, L* by_x, R* by_vectors, R* by_p, R* by_q, R* part) {
    const R *mean = kept, *root = kept + C;
    const Gate<R> gate(vectors, mean, root);
    R sum_d[C] = {}, sum_a[C] = {}, sum_p[C] = {}, sum_q[C] = {};
    for (long start = 0; start < pixels; start += 32) {
        long end = start + 32 < pixels ? start + 32 : pixels;
        R run_d[C] = {}, run_a[C] = {}, run_p[C] = {}, run_q[C] = {};
        for (long i = start; i < end; i++)
INDEPENDENT
            for (int c = 0; c < C; c++) {
                long j = i * C + c;
                R v = wide(x[j]), g = grad[j], other = wide(y[j]);
                R open = sigmoid(gate.a[c] * v + gate.d[c]);
                R through = g * open, inner = through * v, by_gate = inner - inner * open;
                run_p[c] += inner;
                run_q[c] += g * other;
                run_d[c] += by_gate;
                run_a[c] += by_gate * v;
                part[j] = through + by_gate * gate.a[c];
            }
        for (int c = 0; c < C; c++) {
            sum_d[c] += run_d[c];
            sum_a[c] += run_a[c];
            sum_p[c] += run_p[c];
            sum_q[c] += run_q[c];
        }
    }
    R linear[C], constant[C];
    *by_p = *by_q = 0;
    for (int c = 0; c < C; c++) {
        R by_a = sum_a[c] - sum_d[c] * mean[c];
        R by_mean = sum_d[c] * (vectors[c] - gate.a[c]);
        linear[c] = -root[c] * root[c] * root[c] * vectors[C + c] * by_a / pixels;
        constant[c] = by_mean / pixels - linear[c] * mean[c];
        by_vectors[c] = p * sum_d[c] * mean[c];
        by_vectors[C + c] = p * by_a * root[c];
        by_vectors[2 * C + c] = p * sum_d[c];
        *by_p += sum_p[c];
        *by_q += sum_q[c];
    }
    for (long i = 0; i < pixels; i++)
INDEPENDENT
        for (int c = 0; c < C; c++) {
            long j = i * C + c;
            put(by_x[j], p * (part[j] + R(wide(x[j])) * linear[c] + constant[c]));
        }
}

}  // namespace
