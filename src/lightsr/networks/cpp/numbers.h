// Numbers, and sums over pixels.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

// What is written is nowhere what is read in another turn: spares checks before short loops.
#define INDEPENDENT _Pragma("GCC ivdep")

namespace {

constexpr int C = 24;  // Channels of features.

struct bf16 {
    uint16_t bits;
};

inline float wide(bf16 x) {
    uint32_t bits = uint32_t(x.bits) << 16;
    float value;
    std::memcpy(&value, &bits, 4);
    return value;
}
inline float wide(float x) { return x; }
inline double wide(double x) { return x; }

inline void put(bf16& to, float x) {
    uint32_t bits;
    std::memcpy(&bits, &x, 4);
    uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
    // Rounding could turn not-a-number into infinity, or into zero.
    to.bits = (bits & 0x7fffffff) > 0x7f800000 ? 0x7fc0 : rounded;
}
inline void put(float& to, float x) { to = x; }
inline void put(double& to, double x) { to = x; }

inline double exponential(double x) { return std::exp(x); }

// exp in a form that compilers vectorise; off by less than 2e-7 of its value.
inline float exponential(float x) {
    x = x < -87.0f ? -87.0f : x;
    x = x > 88.0f ? 88.0f : x;
    float n = x * 1.44269504f;
    int whole = int(n + (n < 0 ? -0.5f : 0.5f));
    float r = x - whole * 0.693359375f + whole * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    int32_t bits = (whole + 127) << 23;
    float power;
    std::memcpy(&power, &bits, 4);
    return p * power;
}

template <class R>
inline R sigmoid(R x) {
    return R(1) / (R(1) + exponential(-x));
}

// Sum `count` terms of every channel in runs, which keeps rounding small.
template <class R, class Term>
inline void total(long pixels, R* sums, Term term) {
    for (int c = 0; c < C; c++) sums[c] = 0;
    for (long start = 0; start < pixels; start += 32) {
        long end = start + 32 < pixels ? start + 32 : pixels;
        R run[C] = {};
        for (long i = start; i < end; i++)
            for (int c = 0; c < C; c++) run[c] += term(i * C + c, c);
        for (int c = 0; c < C; c++) sums[c] += run[c];
    }
}

template <class R, class X>
inline void mean_and_variance(const X* x, long pixels, R* mean, R* variance) {
    total<R>(pixels, mean, [&](long i, int) { return wide(x[i]); });
    for (int c = 0; c < C; c++) mean[c] /= pixels;
    total<R>(pixels, variance, [&](long i, int c) {
        R d = wide(x[i]) - mean[c];
        return d * d;
    });
    for (int c = 0; c < C; c++) variance[c] /= pixels;
}

}  // namespace
