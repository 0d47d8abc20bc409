// What lies between FDIWN's units: coefficients, gates, halves.
//
// Values are [samples, pixels, channels], R the type of features, L that of convolutions.
#pragma once

#include "numbers.h"

namespace {

// A combination coefficient's two branches (of the mean, of the deviation), C -> C / 8 -> C.
template <class R>
struct Coefficient {
    static constexpr int H = C / 8;
    static constexpr int SIZE = 2 * (H + C * H + C + H * C);
    R hidden[2][H], output[2][C], value[C];

    static const R* bias1(const R* w, int k) { return w + k * H; }
    static const R* weight1(const R* w, int k) { return w + 2 * H + k * C * H; }
    static const R* bias2(const R* w, int k) { return w + 2 * H + 2 * C * H + k * C; }
    static const R* weight2(const R* w, int k) { return w + 2 * (H + C * H + C) + k * H * C; }

    Coefficient(const R* w, const R* statistics) {
        for (int k = 0; k < 2; k++) {
            for (int h = 0; h < H; h++) {
                R sum = bias1(w, k)[h];
                for (int c = 0; c < C; c++) sum += statistics[k * C + c] * weight1(w, k)[c * H + h];
                hidden[k][h] = sum > 0 || sum != sum ? sum : 0;
            }
            for (int c = 0; c < C; c++) {
                R sum = bias2(w, k)[c];
                for (int h = 0; h < H; h++) sum += hidden[k][h] * weight2(w, k)[h * C + c];
                output[k][c] = sum > 0 || sum != sum ? sum : 0;
            }
        }
        for (int c = 0; c < C; c++)
            value[c] = (sigmoid(output[0][c]) + sigmoid(output[1][c])) / 2;
    }

    void backward(const R* w, const R* statistics, const R* by_value, R* by_w, R* by_statistics) {
        for (int k = 0; k < 2; k++) {
            R by_output[C], by_hidden[H];
            R* b2 = const_cast<R*>(bias2(by_w, k));
            R* w2 = const_cast<R*>(weight2(by_w, k));
            R* b1 = const_cast<R*>(bias1(by_w, k));
            R* w1 = const_cast<R*>(weight1(by_w, k));
            for (int c = 0; c < C; c++) {
                R gate = sigmoid(output[k][c]);
                by_output[c] = output[k][c] > 0 ? by_value[c] * gate * (1 - gate) / 2 : R(0);
                b2[c] = by_output[c];
            }
            for (int h = 0; h < H; h++) {
                R sum = 0;
                for (int c = 0; c < C; c++) {
                    w2[h * C + c] = hidden[k][h] * by_output[c];
                    sum += by_output[c] * weight2(w, k)[h * C + c];
                }
                by_hidden[h] = hidden[k][h] > 0 ? sum : R(0);
                b1[h] = by_hidden[h];
            }
            for (int c = 0; c < C; c++) {
                R sum = 0;
                for (int h = 0; h < H; h++) {
                    w1[c * H + h] = statistics[k * C + c] * by_hidden[h];
                    sum += by_hidden[h] * weight1(w, k)[c * H + h];
                }
                by_statistics[k * C + c] = sum;
            }
        }
    }
};

// (coefficient(a) * a + x) [* sigmoid(gate)]. `kept`: mean and deviation, [samples, 2, C].
template <class R, class L>
void weighed(long samples, long pixels, const R* a, const R* x, const R* weights, const L* gate,
             R* out, R* kept) {
#pragma omp parallel for
    for (long s = 0; s < samples; s++) {
        const R* as = a + s * pixels * C;
        const R* xs = x + s * pixels * C;
        R* outs = out + s * pixels * C;
        R* own = kept + s * 2 * C;
        mean_and_variance<R, R>(as, pixels, own, own + C);
        // The root's gradient is infinite at 0.
        for (int c = 0; c < C; c++) own[C + c] = std::sqrt(own[C + c] + R(1e-20));
        Coefficient<R> k(weights, own);
        if (gate == nullptr) {
            for (long i = 0; i < pixels; i++)
INDEPENDENT
                for (int c = 0; c < C; c++)
                    outs[i * C + c] = k.value[c] * as[i * C + c] + xs[i * C + c];
        } else {
            const L* gates = gate + s * pixels * C;
            for (long i = 0; i < pixels; i++)
INDEPENDENT
                for (int c = 0; c < C; c++) {
                    long j = i * C + c;
                    outs[j] = (k.value[c] * as[j] + xs[j]) * sigmoid(R(wide(gates[j])));
                }
        }
    }
}

// Without a gate the gradient of x is `grad` itself, and `by_x` is not written.
template <class R, class L>
void weighed_backward(long samples, long pixels, const R* grad, const R* a, const R* x,
                      const R* weights, const L* gate, const R* kept, R* by_a, R* by_x,
                      R* by_weights, L* by_gate) {
    constexpr int SIZE = Coefficient<R>::SIZE;
#pragma omp parallel for
    for (long s = 0; s < samples; s++) {
        long offset = s * pixels * C;
        const R *gs = grad + offset, *as = a + offset, *xs = x + offset, *own = kept + s * 2 * C;
        R* by_as = by_a + offset;
        const R* through = gs;
        Coefficient<R> k(weights, own);
        R by_value[C], by_statistics[2 * C], linear[C], constant[C];
        if (gate != nullptr) {
            const L* gates = gate + offset;
            L* by_gates = by_gate + offset;
            R* by_xs = by_x + offset;
            for (long i = 0; i < pixels; i++)
INDEPENDENT
                for (int c = 0; c < C; c++) {
                    long j = i * C + c;
                    R g = sigmoid(R(wide(gates[j])));
                    R inner = gs[j] * g;
                    by_xs[j] = inner;
                    put(by_gates[j], inner * (1 - g) * (k.value[c] * as[j] + xs[j]));
                }
            through = by_xs;
        }
        total<R>(pixels, by_value, [&](long i, int) { return through[i] * as[i]; });
        k.backward(weights, own, by_value, by_weights + s * SIZE, by_statistics);
        for (int c = 0; c < C; c++) {
            linear[c] = by_statistics[C + c] / (own[C + c] * pixels);
            constant[c] = by_statistics[c] / pixels - linear[c] * own[c];
        }
        for (long i = 0; i < pixels; i++)
INDEPENDENT
            for (int c = 0; c < C; c++) {
                long j = i * C + c;
                by_as[j] = through[j] * k.value[c] + as[j] * linear[c] + constant[c];
            }
    }
}

// Leaky ReLU, its first and its second half of the channels apart.
template <class R, class L>
void halves(long samples, long pixels, const R* x, double slope, L* first, L* second) {
    constexpr int H = C / 2;
#pragma omp parallel for
    for (long s = 0; s < samples; s++)
        for (long i = s * pixels; i < (s + 1) * pixels; i++)
INDEPENDENT
            for (int c = 0; c < H; c++) {
                R u = x[i * C + c], v = x[i * C + H + c];
                put(first[i * H + c], u < 0 ? u * R(slope) : u);
                put(second[i * H + c], v < 0 ? v * R(slope) : v);
            }
}

template <class R, class L>
void halves_backward(long samples, long pixels, const L* first, const L* second, const R* x,
                     double slope, R* by_x) {
    constexpr int H = C / 2;
#pragma omp parallel for
    for (long s = 0; s < samples; s++)
        for (long i = s * pixels; i < (s + 1) * pixels; i++)
INDEPENDENT
            for (int c = 0; c < H; c++) {
                R u = wide(first[i * H + c]), v = wide(second[i * H + c]);
                by_x[i * C + c] = x[i * C + c] > 0 ? u : u * R(slope);
                by_x[i * C + H + c] = x[i * C + H + c] > 0 ? v : v * R(slope);
            }
}

}  // namespace
