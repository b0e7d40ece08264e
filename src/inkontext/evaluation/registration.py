"""Find the similarity (shift, scale, rotation) that takes one picture to another. The story is told in `alignment.py`.

Pictures are float32 `[H, W, 3]` in [0, 1]. Points are complex numbers x + iy, in pixels from the picture's centre,
y down; pixel (i, j) has its centre at (j + ½, i + ½). A similarity is z -> a z + b.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

SMALLEST: Final = 16  # pixels of a side, below which nothing is searched
_COARSE: Final = 64  # pixels of the longer side at which all similarities are tried
_TURN: Final = np.radians(3.0)  # steps of the grid of similarities that is tried
_GROWTH: Final = 0.054
_TURNS: Final = _TURN * np.arange(-6, 7)
_SCALES: Final = np.exp(_GROWTH * np.arange(-5, 6))
_NEAR: Final = (-1, 0, 1)
_REACH: Final = 0.23  # of a side: the largest shift that is tried
_STARTS: Final = 4  # best guesses that are refined at the coarsest level
_SLOPE: Final = 0.02  # of full range a pixel: a steeper pixel can tell where it is
_QUIET: Final = 0.05  # of full range: residuals are never taken to be quieter than this
_SOFT: Final = 0.8
_WINDOW: Final = 3.0
_FAINT: Final = 0.02
_FLOOR: Final = 1.0
_FLOOR2 = 1.0
_QUIET2 = 0.008
_FAR = 1.0
_TONE = 0.02
_KNOTS: Final = 9  # of a tone curve
_JITTER: Final = 0.1
_LOW, _LOW_NORMAL = 0.4, 0.5244  # the share of residuals that surely is no edit's; that quantile of a normal size
_TUKEY: Final = 4.685  # standard deviations at which Tukey's weight reaches zero
_SETTLED: Final = 0.002  # pixels that a corner moves in the last step
_EDGE: Final = 2  # pixels along the border whose colours are mixed with what lies outside


class Similarity(NamedTuple):
    """z -> a z + b about the picture's centre: |a| scales, -arg a turns counter-clockwise on the screen."""

    a: complex = 1 + 0j
    b: complex = 0j

    def after(self, first: Similarity) -> Similarity:
        """This one applied to what `first` gives."""
        return Similarity(self.a * first.a, self.a * first.b + self.b)


class Level(NamedTuple):
    """Both pictures at one resolution. `centre` is that of the full picture, in this level's pixels (x, y)."""

    before: np.ndarray
    after: np.ndarray
    centre: tuple[float, float]
    factor: int


class Fit(NamedTuple):
    """What a refinement found. `agreement` in [-1, 1]: how alike the slopes are; `determined`: see `_determined`."""

    similarity: Similarity
    agreement: float
    determined: float
    weight: np.ndarray = np.zeros(0)


def pyramid(before: np.ndarray, after: np.ndarray) -> list[Level]:
    """Levels from the full pictures down to about 64 pixels, each half the one before."""
    height, width = before.shape[:2]
    levels = [Level(before, after, (width / 2, height / 2), 1)]
    while max(before.shape[:2]) > _COARSE and min(before.shape[:2]) >= 2 * SMALLEST:
        before, after = _halve(before), _halve(after)
        factor = 2 * levels[-1].factor
        levels.append(Level(before, after, (width / 2 / factor, height / 2 / factor), factor))
    return levels


POLISH=True
def find(levels: list[Level]) -> Fit:
    """The similarity that takes `before` to `after`, in pixels of the full pictures.

    Args:
        levels: finest first; where the finest is not refined, leave it out.
    """
    turns, scales = (g.ravel() for g in np.meshgrid(_TURNS, _SCALES))
    level = levels[-1]
    starts = search(level, [complex(s * np.exp(1j * t)) for t, s in zip(turns, scales, strict=True)])[:_STARTS]
    if len(levels) > 1:
        level = levels[-2]
    near = {_near(s.a, i, j) for s in [Similarity(), *starts] for i in _NEAR for j in _NEAR}
    starts = search(level, sorted(near, key=lambda a: (a.real, a.imag)))[:_STARTS]
    tried = [refine(level, start, 12) for start in [Similarity(), *starts]]
    best = max(tried, key=lambda fit: fit.agreement)
    for finer in levels[-3::-1]:
        start = Similarity(best.similarity.a, best.similarity.b * 2)
        best = refine(finer, start, 12)
    if POLISH:
        best = polish(levels[0], best, 8)
    return best._replace(similarity=Similarity(best.similarity.a, best.similarity.b * levels[0].factor))


def _near(a: complex, i: int, j: int) -> complex:
    return a * complex(np.exp(1j * _TURN / 3 * i + _GROWTH / 3 * j))


def search(level: Level, factors: list[complex]) -> list[Similarity]:
    """For each factor a the shift that correlates slopes best; the best of all first."""
    height, width = level.before.shape[:2]
    reach = [max(2, round(_REACH * side) + 1) for side in (height, width)]
    padded = (height + 2 * reach[0], width + 2 * reach[1])
    goal = _directions(level.after)
    spectrum = np.fft.fft2(goal, padded, axes=(0, 1))
    energy = np.fft.rfft2((np.abs(goal) ** 2).sum(2), padded)
    found = []
    for a in factors:
        moved, seen = warp(level.before, Similarity(1 / a), level.centre)
        start = _directions(moved) * _shrink(seen)[..., None]
        cross = np.fft.ifft2((spectrum * np.fft.fft2(start, padded, axes=(0, 1)).conj()).sum(2)).real
        under = np.fft.irfft2(energy * np.fft.rfft2(_shrink(seen).astype(float), padded).conj(), padded)
        own = (np.abs(start) ** 2).sum()
        score = cross / np.sqrt(np.maximum(own * under, 1e-6 + 0.05 * own**2))
        rows, columns = (np.arange(-r, r + 1) for r in reach)
        window = score[np.ix_(rows, columns)]
        i, j = np.unravel_index(int(window.argmax()), window.shape)
        found.append((float(window[i, j]), Similarity(a, complex(columns[j], rows[i]))))
    found.sort(key=lambda one: -one[0])
    return [similarity for _, similarity in found]


def refine(level: Level, start: Similarity, rounds: int) -> Fit:
    """Gauss-Newton steps on Tukey's robust error of what stands out, symmetric in the slopes of both pictures."""
    centre = level.centre
    soft, soft_after = soften(level.before, _SOFT), soften(level.after, _SOFT * abs(start.a))
    before, after = _standing_out(soft, _WINDOW), _standing_out(soft_after, _WINDOW * abs(start.a))
    x, y = (g - c for g, c in zip(np.meshgrid(*(np.arange(n) + 0.5 for n in before.shape[1::-1])), centre, strict=True))
    radius = float(np.hypot(x, y).max())
    steep = np.sqrt(sum((s**2).sum(2) for s in np.gradient(soft, axis=(1, 0)))) > _SLOPE
    ours = np.gradient(before, axis=(1, 0))
    similarity = start
    fit = Fit(start, 0.0, 0.0)
    for _ in range(rounds):
        moved, seen = warp(after, similarity, centre)
        seen = _shrink(seen)
        if (seen & steep).sum() < 4 * SMALLEST:
            return Fit(start, 0.0, 0.0)
        error = moved - before
        theirs = np.gradient(moved, axis=(1, 0))
        mean = [(o + t) / 2 for o, t in zip(ours, theirs, strict=True)]
        steepness = sum((m**2).sum(2) for m in mean)
        doubt = _QUIET**2 + _JITTER**2 * steepness
        size = np.sqrt((error**2).mean(2) / doubt)
        sigma = max(float(np.quantile(size[seen & steep], _LOW)) / _LOW_NORMAL, _FLOOR)
        weight = _least_around(np.square(np.clip(1 - (size / (_TUKEY * sigma)) ** 2, 0, None)) * seen)
        fit = Fit(similarity, _agreement(ours, theirs, seen & steep), _determined(ours, theirs, weight, x, y, radius), weight)
        columns = _columns(mean, x, y, radius)
        weighted = columns * (weight / doubt)[..., None]
        normal = np.tensordot(weighted, columns, axes=((1, 2, 3), (1, 2, 3)))
        normal += 1e-6 * np.trace(normal) * np.eye(4) + 1e-12 * np.eye(4)
        step = -np.linalg.solve(normal, np.tensordot(weighted, error, axes=((1, 2, 3), (0, 1, 2))))
        change = Similarity(1 + complex(step[0], step[1]) / radius, complex(step[2], step[3]))
        similarity = similarity.after(change)
        if not 0.6 < abs(similarity.a) < 1.6:
            return Fit(start, 0.0, 0.0)
        if abs(change.a - 1) * radius + abs(change.b) < _SETTLED:
            break
    return fit._replace(similarity=similarity)


def polish(level: Level, start: Fit, rounds: int) -> Fit:
    """Go on from `start` with the colours themselves, BEFORE's brought to AFTER's tones: finer than `refine`."""
    centre = level.centre
    before, after = soften(level.before, _SOFT), soften(level.after, _SOFT * abs(start.similarity.a))
    x, y = (g - c for g, c in zip(np.meshgrid(*(np.arange(n) + 0.5 for n in before.shape[1::-1])), centre, strict=True))
    radius = float(np.hypot(x, y).max())
    steep = np.sqrt(sum((s**2).sum(2) for s in np.gradient(before, axis=(1, 0)))) > _SLOPE
    similarity, weight = start.similarity, start.weight
    for _ in range(rounds):
        moved, seen = warp(after, similarity, centre)
        seen = _shrink(seen)
        if (seen & steep).sum() < 4 * SMALLEST or weight.sum() < SMALLEST:
            return start
        if similarity is start.similarity:
            weight = _main_tones(before, moved, weight)
        expected = retoned(before, moved, weight)
        error = moved - expected
        ours, theirs = np.gradient(expected, axis=(1, 0)), np.gradient(moved, axis=(1, 0))
        mean = [(o + t) / 2 for o, t in zip(ours, theirs, strict=True)]
        steepness = sum((m**2).sum(2) for m in mean)
        doubt = _QUIET2**2 + _JITTER**2 * steepness
        size = np.sqrt((error**2).mean(2) / doubt)
        sigma = max(float(np.quantile(size[seen & steep], _LOW)) / _LOW_NORMAL, _FLOOR2)
        weight = _least_around(np.square(np.clip(1 - (size / (_TUKEY * sigma)) ** 2, 0, None)) * seen)
        columns = _columns(mean, x, y, radius)
        weighted = columns * (weight / doubt * steepness / (steepness + _SLOPE**2))[..., None]
        normal = np.tensordot(weighted, columns, axes=((1, 2, 3), (1, 2, 3)))
        normal += 1e-6 * np.trace(normal) * np.eye(4) + 1e-12 * np.eye(4)
        step = -np.linalg.solve(normal, np.tensordot(weighted, error, axes=((1, 2, 3), (0, 1, 2))))
        change = Similarity(1 + complex(step[0], step[1]) / radius, complex(step[2], step[3]))
        similarity = similarity.after(change)
        if abs(similarity.a - start.similarity.a) * radius + abs(similarity.b - start.similarity.b) > _FAR:
            return start
        if abs(change.a - 1) * radius + abs(change.b) < _SETTLED:
            break
    return start._replace(similarity=similarity)


def _standing_out(picture: np.ndarray, window: float) -> np.ndarray:
    """The picture less its surroundings, over their contrast: a change of tones hardly changes it."""
    out = picture - soften(picture, window)
    contrast = soften((out**2).mean(2, keepdims=True), window)
    return out / np.sqrt(contrast + _FAINT**2)


def _columns(slopes: list[np.ndarray], x: np.ndarray, y: np.ndarray, radius: float) -> np.ndarray:
    """Derivatives `[4, H, W, 3]` of a picture by growth, turn (at `radius`), x and y."""
    across, down = slopes
    x, y = x[..., None] / radius, y[..., None] / radius
    return np.stack([across * x + down * y, down * x - across * y, across, down])


def _agreement(ours: list[np.ndarray], theirs: list[np.ndarray], seen: np.ndarray) -> float:
    both = sum((a * b).sum(2) for a, b in zip(ours, theirs, strict=True))
    energies = sum((a**2).sum(2) + (b**2).sum(2) for a, b in zip(ours, theirs, strict=True)) / 2
    importance = np.sqrt(energies) * seen
    total = float(importance.sum())
    return float((importance * both / (energies + _SLOPE**2)).sum()) / total if total > 0 else 0.0


def _determined(ours, theirs, weight, x, y, radius) -> float:
    a, b = (_columns(s, x, y, radius) for s in (ours, theirs))
    cross = np.tensordot(a * weight[..., None], b, axes=((1, 2, 3), (1, 2, 3)))
    values = np.linalg.eigvalsh((cross + cross.T) / 2)
    return float(values[0] / max(values[-1], 1e-12))


def _main_tones(before: np.ndarray, after: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weights that leave the tones of the larger part: least absolute deviation, by reweighting."""
    first = weight
    for k in range(8):
        error = np.sqrt(((retoned(before, after, weight) - after) ** 2).sum(2))
        weight = first / (error + _TONE)**(1 if k < 4 else 2)
    return weight


def retoned(before: np.ndarray, after: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """`before` in the tones of `after`: in each channel the smooth curve through `_KNOTS` that fits best.

    Weighted least squares of a piecewise linear curve. Where no value tells its course it goes on straight.
    """
    out = np.empty_like(before)
    flat = weight.reshape(-1).astype(np.float32)
    bend = np.diff(np.eye(_KNOTS), 2, axis=0)
    pull = 1e-4 * (float(flat.sum()) + 1e-6) * (bend.T @ bend + 1e-2 * np.eye(_KNOTS))
    straight = np.linspace(0, 1, _KNOTS)
    for channel in range(before.shape[2]):
        v, goal = before[..., channel].reshape(-1), after[..., channel].reshape(-1)
        place = np.clip(v * (_KNOTS - 1), 0, _KNOTS - 1)
        below = np.minimum(place.astype(np.intp), _KNOTS - 2)
        up = (place - below).astype(np.float64)
        down = 1 - up
        sums = [np.bincount(below, flat * f, _KNOTS) for f in (down * down, up * down, up * up, down * goal, up * goal)]
        normal = np.diag(sums[0]) + np.diag(np.roll(sums[2], 1)) + np.diag(sums[1][:-1], 1) + np.diag(sums[1][:-1], -1)
        wanted = sums[3] + np.roll(sums[4], 1)
        curve = np.linalg.solve(normal + pull, wanted + pull @ straight)
        out[..., channel] = np.interp(v, straight, curve).reshape(before.shape[:2])
    return out


def warp(picture: np.ndarray, similarity: Similarity, centre: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    """The picture seen through a similarity: out(z) = picture(a z + b), by Keys' cubic convolution (1981), a = -1/2.

    Returns:
        `[H, W, 3]`, and where the whole stencil lay inside, bool `[H, W]`.
    """
    height, width = picture.shape[:2]
    x, y = (np.arange(n) + 0.5 - c for n, c in zip((width, height), centre, strict=True))
    a, b = similarity
    across = (a.real * x[None] - a.imag * y[:, None] + b.real + centre[0] - 0.5).astype(np.float64)
    down = (a.imag * x[None] + a.real * y[:, None] + b.imag + centre[1] - 0.5).astype(np.float64)
    left, top = np.floor(across).astype(np.intp), np.floor(down).astype(np.intp)
    columns, rows = _keys(across - left), _keys(down - top)
    out = np.zeros_like(picture)
    for i, row in enumerate(rows):
        line = np.clip(top + i - 1, 0, height - 1)
        for j, column in enumerate(columns):
            out += (row * column)[..., None] * picture[line, np.clip(left + j - 1, 0, width - 1)]
    seen = (left >= 1) & (left < width - 2) & (top >= 1) & (top < height - 2)
    return out, seen


def _keys(t: np.ndarray) -> list[np.ndarray]:
    """Weights of the four neighbours at distances 1 + t, t, 1 - t, 2 - t."""
    t = t.astype(np.float32)
    return [
        ((-0.5 * t + 1) * t - 0.5) * t,
        (1.5 * t - 2.5) * t * t + 1,
        ((-1.5 * t + 2) * t + 0.5) * t,
        (0.5 * t - 0.5) * t * t,
    ]


def _shrink(mask: np.ndarray) -> np.ndarray:
    """Without the picture's own border and a pixel around what is not seen."""
    out = np.zeros_like(mask)
    inner = (slice(_EDGE, -_EDGE),) * 2
    out[inner] = mask[inner]
    near = out.copy()
    for axis in (0, 1):
        for by in (-1, 1):
            near &= np.roll(mask, by, axis)
    return near


def _least_around(weight: np.ndarray) -> np.ndarray:
    """The least of each pixel and its four neighbours: what touches an edit is not trusted."""
    out = weight.copy()
    for axis in (0, 1):
        for by in (-1, 1):
            out = np.minimum(out, np.roll(weight, by, axis))
    return out


def soften(picture: np.ndarray, sigma: float) -> np.ndarray:
    """Gaussian blur, float32."""
    reach = int(4 * sigma + 1)
    taps = np.exp(-(np.arange(-reach, reach + 1) ** 2) / (2 * sigma**2))
    taps = (taps / taps.sum()).astype(np.float32)
    for axis in (0, 1):
        padded = np.pad(picture, [(reach, reach) if axis == k else (0, 0) for k in range(3)], mode="edge")
        count = picture.shape[axis]
        picture = sum(t * np.take(padded, range(k, k + count), axis) for k, t in enumerate(taps))
    return picture


def _halve(picture: np.ndarray) -> np.ndarray:
    """Half the resolution, filter (1, 3, 3, 1)/8 along each axis; an odd last line is dropped."""
    for axis in (0, 1):
        picture = np.moveaxis(picture, axis, 0)
        count = picture.shape[0] // 2
        padded = np.pad(picture, ((1, 1), *((0, 0),) * (picture.ndim - 1)), mode="edge")
        a, b, c, d = (padded[k : k + 2 * count : 2] for k in range(4))
        picture = np.moveaxis((a + d + 3 * (b + c)) / 8, 0, axis)
    return np.ascontiguousarray(picture)


def _directions(picture: np.ndarray) -> np.ndarray:
    """Slopes as complex numbers `[H, W, 3]`, steep ones held back."""
    across, down = np.gradient(picture, axis=(1, 0))
    size = np.sqrt((across**2 + down**2).sum(2, keepdims=True))
    soft = max(float(size.mean()), 0.25 * _SLOPE)
    return (across + 1j * down) / np.sqrt(size * soft + soft**2)
