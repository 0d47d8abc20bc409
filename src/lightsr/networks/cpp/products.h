// Matrix products over the pixels of one sample: forward, and for the gradient of the weights.
//
// Pixels are rows, channels lie side by side, and a 3x3 convolution is three products over runs of
// three pixels of a picture with a border of zeros. L is the type that is multiplied, R the one
// that is summed in. bf16 is multiplied in pairs, so its channels come in even numbers.
#pragma once

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#include "numbers.h"

#if defined(__AVX512BF16__) && defined(__AVX512VL__)
#include <immintrin.h>
#define LIGHTSR_BF16 1
#endif

#define UNROLL _Pragma("GCC unroll 16")

namespace {

#ifdef __AVX512F__
constexpr int TILE = 8;  // Of three vectors each, sums fit into 32 registers
#else
constexpr int TILE = 4;  // or into 16.
#endif
constexpr int MOST = 3;  // Vectors side by side.

// Vectors of 32 bytes, of what is summed: how products of a type are made and added up.
template <class T>
struct Vectors {
    using R = T;
    static constexpr int WIDTH = 32 / sizeof(T), PAIR = 1;
    typedef T V __attribute__((vector_size(32)));
    typedef V Factors;
    static Factors load(const T* x) {
        Factors v;
        std::memcpy(&v, x, sizeof v);
        return v;
    }
    static V widened(const T* x) { return load(x); }
    static V add(V sum, const T* a, Factors b) { return sum + *a * b; }
};

template <>
struct Vectors<bf16> {
    using R = float;
    static constexpr int WIDTH = 8, PAIR = 2;
    typedef float V __attribute__((vector_size(32)));
    typedef uint32_t Factors __attribute__((vector_size(32)));
    static Factors load(const bf16* x) {
        Factors v;
        std::memcpy(&v, x, sizeof v);
        return v;
    }
    static V widened(const bf16* x) {
        uint16_t narrow __attribute__((vector_size(16)));
        std::memcpy(&narrow, x, sizeof narrow);
        return (V)(__builtin_convertvector(narrow, Factors) << 16);
    }
    static V add(V sum, const bf16* a, Factors b) {
        uint32_t pair;
        std::memcpy(&pair, a, 4);
#ifdef LIGHTSR_BF16
        __m256i both = _mm256_set1_epi32(int(pair));
        return (V)_mm256_dpbf16_ps((__m256)sum, (__m256bh)both, (__m256bh)b);
#else
        bf16 first{uint16_t(pair)}, second{uint16_t(pair >> 16)};
        return sum + wide(first) * (V)(b << 16) + wide(second) * (V)(b & 0xffff0000u);
#endif
    }
};

// Store the first `count` of a vector's values, which is all of them but in a last column.
template <class L, class V>
inline void store(L* to, V values, long count) {
    constexpr long WIDTH = Vectors<L>::WIDTH;
    L narrow[WIDTH];
#ifdef LIGHTSR_BF16
    if constexpr (sizeof(L) == 2) {
        __m128bh rounded = _mm256_cvtneps_pbh((__m256)values);
        std::memcpy(narrow, &rounded, sizeof narrow);
    } else
#endif
        for (long i = 0; i < WIDTH; i++) put(narrow[i], values[i]);
    if (count >= WIDTH)
        std::memcpy(to, narrow, sizeof narrow);
    else if (count == WIDTH / 2)
        std::memcpy(to, narrow, sizeof narrow / 2);
    else
        for (long i = 0; i < count; i++) to[i] = narrow[i];
}

constexpr long rounded(long count, long to) { return (count + to - 1) / to * to; }

// A thread's memory for one sample, kept from call to call: what is taken first the next time is
// the piece that was taken first this time.
class Scratch {
    struct alignas(64) Line {
        char bytes[64];
    };
    struct Piece {
        std::unique_ptr<Line[]> lines;
        size_t count;
    };
    std::vector<Piece> pieces;
    size_t taken = 0;

public:
    // Of the calling thread, with nothing taken.
    static Scratch& fresh() {
        thread_local Scratch own;
        own.taken = 0;
        return own;
    }
    // Room for `count` values, and for the vector that reaches beyond the last.
    template <class T>
    T* take(long count) {
        const size_t lines = (count * sizeof(T)) / sizeof(Line) + 2;
        if (taken == pieces.size()) pieces.push_back({nullptr, 0});
        Piece& piece = pieces[taken++];
        if (piece.count < lines) piece = {std::unique_ptr<Line[]>(new Line[lines]), lines};
        return reinterpret_cast<T*>(piece.lines.get());
    }
};

// Weights [depth, outputs] laid out as products read them, [depth / PAIR, columns, PAIR], and a
// bias.
template <class L>
struct Packed {
    using Kind = Vectors<L>;
    using R = typename Kind::R;
    long depth, outputs, columns;
    std::unique_ptr<L[]> values;
    std::unique_ptr<R[]> biases;

    // `weight(k, n)` gives the weights; no bias is as good as zero.
    template <class Weight>
    Packed(long depth, long outputs, const R* bias, Weight weight)
        : depth(depth), outputs(outputs), columns(rounded(outputs, Kind::WIDTH)),
          values(new L[depth * columns]()), biases(new R[columns]()) {
        if (bias != nullptr) std::copy(bias, bias + outputs, biases.get());
        for (long k = 0; k < depth; k++)
            for (long n = 0; n < outputs; n++)
                put(values[(k / Kind::PAIR * columns + n) * Kind::PAIR + k % Kind::PAIR],
                    weight(k, n));
    }
};

// What a product reads: for each pixel, `runs` runs of values; pixels lie in rows.
template <class L>
struct Source {
    const L* values;
    long pixel, row;  // Steps, in values.
    int runs;
    long run;  // From one run to the next.
};

// Compiled once for all products, so that what is done with sums is compiled but once, too.
template <class L, int M, int N>
__attribute__((noinline)) void product_tile(const Source<L>& from, const L* start,
                                            const Packed<L>& weights, long first,
                                            typename Vectors<L>::V (*to)[MOST]) {
    using Kind = Vectors<L>;
    using R = typename Kind::R;
    typename Kind::V sums[M][N];
    UNROLL
    for (int v = 0; v < N; v++) {
        auto bias = Vectors<R>::load(weights.biases.get() + first + v * Kind::WIDTH);
        UNROLL
        for (int m = 0; m < M; m++) sums[m][v] = bias;
    }
    const L* factors = weights.values.get() + first * Kind::PAIR;
    const long step = weights.columns * Kind::PAIR, pairs = weights.depth / from.runs / Kind::PAIR;
    const long pixel = from.pixel;
    for (int r = 0; r < from.runs; r++) {
        const L* a = start + r * from.run;
        for (long k = 0; k < pairs; k++, a += Kind::PAIR, factors += step) {
            typename Kind::Factors b[N];
            UNROLL
            for (int v = 0; v < N; v++)
                b[v] = Kind::load(factors + v * Kind::WIDTH * Kind::PAIR);
            UNROLL
            for (int m = 0; m < M; m++) {
                UNROLL
                for (int v = 0; v < N; v++) sums[m][v] = Kind::add(sums[m][v], a + m * pixel, b[v]);
            }
        }
    }
    UNROLL
    for (int m = 0; m < M; m++) {
        UNROLL
        for (int v = 0; v < N; v++) to[m][v] = sums[m][v];
    }
}

template <class L>
using ProductTile = void (*)(const Source<L>&, const L*, const Packed<L>&, long,
                             typename Vectors<L>::V (*)[MOST]);

// How many of `left` vectors to take at once: as many as there is room for, but never 3 and 1.
inline long at_once(long left) { return left == 4 ? 2 : std::min<long>(left, MOST); }

// Give finish(pixel, column, sums of a vector of columns) for all pixels, for some of them twice.
template <class L, class Finish>
inline void product(const Source<L>& from, const Packed<L>& weights, long rows, long width,
                    Finish finish) {
    constexpr long WIDTH = Vectors<L>::WIDTH;
    static constexpr ProductTile<L> one[] = {product_tile<L, 1, 1>, product_tile<L, 1, 2>,
                                             product_tile<L, 1, 3>};
    static constexpr ProductTile<L> many[] = {product_tile<L, TILE, 1>, product_tile<L, TILE, 2>,
                                              product_tile<L, TILE, 3>};
    const long side = width < TILE ? 1 : TILE;
    long now;
    for (long first = 0; first < weights.columns; first += now * WIDTH) {
        now = at_once((weights.columns - first) / WIDTH);
        const ProductTile<L> tile = (side == 1 ? one : many)[now - 1];
        for (long y = 0; y < rows; y++)
            for (long x = 0; x < width; x += side) {
                // The last tile of a row may overlap the one before.
                const long here = std::min(x, width - side);
                typename Vectors<L>::V sums[TILE][MOST];
                tile(from, from.values + y * from.row + here * from.pixel, weights, first, sums);
                for (long m = 0; m < side; m++)
                    for (long v = 0; v < now; v++)
                        finish(y * width + here + m, first + v * WIDTH, sums[m][v]);
            }
    }
}

// Values so that those of a pixel and of its right neighbour lie side by side; one copy where
// values are not multiplied in pairs. `step`: 1 where every pixel begins a pair, as the shifts of
// a 3x3 kernel want, or 2.
template <class L>
struct Paired {
    const L* values;
    long pixels;  // From one to the next that is used, in values.
    long row;

    Paired(const L* values, long pixels, long row) : values(values), pixels(pixels), row(row) {}
    Paired(Scratch& scratch, const L* from, long rows, long width, long pitch, long channels,
           int step) {
        constexpr int PAIR = Vectors<L>::PAIR;
        if (PAIR == 1) {
            values = from, pixels = channels, row = pitch;
            return;
        }
        const long count = (width + step - 1) / step;
        uint32_t* to = scratch.take<uint32_t>(rows * count * channels);
        values = reinterpret_cast<const L*>(to);
        pixels = channels * 4 / step, row = count * channels * 2;
        for (long y = 0; y < rows; y++) {
            const L* left = from + y * pitch;
            const long last = width - 1, whole = last / step + (last % step != 0);
            for (long i = 0, run = step == 1 ? whole * channels : channels; i < whole * channels;
                 i += run, left += run * step, to += run)
INDEPENDENT
                for (long c = 0; c < run; c++) to[c] = pair(left[c], left[channels + c]);
            // There is nothing beside the last pixel of a row.
            if (whole < count) {
                for (long c = 0; c < channels; c++) to[c] = pair(left[c], L{});
                to += channels;
            }
        }
    }
    static uint32_t pair(bf16 first, bf16 second) {
        return first.bits | uint32_t(second.bits) << 16;
    }
    template <class T>
    static uint32_t pair(T, T) {
        return 0;  // Never: only bf16 is multiplied in pairs.
    }
};

template <class L, int K, int N>
__attribute__((noinline)) void gradient_tile(const Paired<L>& a, long offset, const Paired<L>& g,
                                             long rows, long pairs, long outputs, long first,
                                             typename Vectors<L>::R* to) {
    using Kind = Vectors<L>;
    typename Kind::V sums[K][N] = {};
    const long a_step = a.pixels, g_step = g.pixels;
    for (long y = 0; y < rows; y++) {
        const L* left = a.values + y * a.row + offset;
        const L* right = g.values + y * g.row + first * Kind::PAIR;
        for (long x = 0; x < pairs; x++, left += a_step, right += g_step) {
            typename Kind::Factors b[N];
            UNROLL
            for (int v = 0; v < N; v++) b[v] = Kind::load(right + v * Kind::WIDTH * Kind::PAIR);
            UNROLL
            for (int k = 0; k < K; k++) {
                UNROLL
                for (int v = 0; v < N; v++)
                    sums[k][v] = Kind::add(sums[k][v], left + k * Kind::PAIR, b[v]);
            }
        }
    }
    for (int k = 0; k < K; k++)
        for (int v = 0; v < N; v++) {
            long n = first + v * Kind::WIDTH;
            store(to + k * outputs + n, sums[k][v], outputs - n);
        }
}

template <class L>
using GradientTile = void (*)(const Paired<L>&, long, const Paired<L>&, long, long, long, long,
                              typename Vectors<L>::R*);

// to[k, n] = the sum over pixels of a[pixel, k] * g[pixel, n], for k below `depth`.
template <class L>
inline void gradient(const Paired<L>& a, long offset, long depth, const Paired<L>& g, long rows,
                     long width, long outputs, typename Vectors<L>::R* to) {
    constexpr long WIDTH = Vectors<L>::WIDTH, PAIR = Vectors<L>::PAIR;
    static constexpr GradientTile<L> one[] = {gradient_tile<L, 1, 1>, gradient_tile<L, 1, 2>,
                                              gradient_tile<L, 1, 3>};
    static constexpr GradientTile<L> many[] = {gradient_tile<L, TILE, 1>, gradient_tile<L, TILE, 2>,
                                               gradient_tile<L, TILE, 3>};
    const long columns = rounded(outputs, WIDTH), pairs = (width + PAIR - 1) / PAIR;
    const long side = depth < TILE ? 1 : TILE;
    long now;
    for (long first = 0; first < columns; first += now * WIDTH) {
        now = at_once((columns - first) / WIDTH);
        const GradientTile<L> tile = (side == 1 ? one : many)[now - 1];
        for (long k = 0; k < depth; k += side) {
            const long here = std::min(k, depth - side);
            tile(a, offset + here * PAIR, g, rows, pairs, outputs, first, to + here * outputs);
        }
    }
}

// to[n] = the sum over pixels of g[pixel, n].
template <class L>
inline void column_sums(const Paired<L>& g, long rows, long width, long outputs,
                        typename Vectors<L>::R* to) {
    L ones[2];
    put(ones[0], 1.0f);
    put(ones[1], 1.0f);
    gradient<L>(Paired<L>{ones, 0, 0}, 0, 1, g, rows, width, outputs, to);
}

}  // namespace
