"""From a scene graph to pixels: background, things, then the passes over the whole picture."""

from __future__ import annotations

from PIL import Image, ImageChops, ImageDraw, ImageFilter

from inkontext.cues.drawing import LINE, THIN, marker
from inkontext.data.world.creature import draw_figure
from inkontext.data.world.outside import Outside
from inkontext.data.world.palette import COLOURS
from inkontext.data.world.pen import Pen
from inkontext.data.world.places import draw_background
from inkontext.data.world.scene import Background, Cue, Figure, Scene, Shape, Sign, Sticker
from inkontext.data.world.shapes import draw_shape
from inkontext.data.world.signs import draw_sign
from inkontext.data.world.styles import apply_style
from inkontext.data.world.weather import apply_adjust, apply_weather, lit_picture
from inkontext.errors import OptionError


def render(scene: Scene, size: int, outside: Outside | None = None) -> Image.Image:
    """The scene as an RGB picture, `size` pixels square."""
    factor = 4 if size <= 80 else 2
    canvas = _background(scene.background, scene.light, size, factor, outside)
    pen = Pen(canvas, scene.light)
    for thing in scene.things:
        match thing:
            case Shape():
                draw_shape(pen, thing)
            case Figure():
                draw_figure(pen, thing)
            case Sign():
                draw_sign(pen, thing)
            case Sticker():
                _draw_sticker(pen, thing, _needed(outside))
    picture = apply_weather(canvas.reduce(factor), scene.weather)
    picture = apply_style(apply_adjust(picture, scene.adjust), scene.style)
    for cue in scene.cues:
        _draw_cue(picture, cue)
    return picture


def _needed(outside: Outside | None) -> Outside:
    if outside is None:
        raise OptionError("This scene holds pictures from outside; give the same Outside folders that made it.")
    return outside


def _background(background: Background, light: str, size: int, factor: int, outside: Outside | None) -> Image.Image:
    if background.photo:
        picture = lit_picture(_needed(outside).photo(background.photo, background.variant, size), light)
        # Enlarged without interpolation, so that reducing it again gives back the photograph itself.
        return picture.resize((size * factor, size * factor), Image.Resampling.NEAREST)
    return draw_background(background, light, size * factor).copy()


def _draw_sticker(pen: Pen, sticker: Sticker, outside: Outside) -> None:
    side = max(4, int(2 * sticker.size * pen.k))
    picture = lit_picture(outside.sticker(sticker.name, side), pen.light)
    x, y = pen.px(sticker.x - sticker.size, sticker.y - sticker.size)
    pen.image.paste(picture, (x, y), picture)


def _draw_cue(picture: Image.Image, cue: Cue) -> None:
    """The marker, drawn apart at four times the size and laid over."""
    size, big = picture.width, picture.width * 4
    mask = Image.new("L", (big, big))
    x0, y0, x1, y1 = (v * big // 1000 for v in cue.box)
    marker(ImageDraw.Draw(mask), cue.kind, ((x0, y0), (x1, y1)), max(THIN, big * LINE // 1000))
    picture.paste(COLOURS[cue.colour], (0, 0), mask.reduce(big // size))


def difference(a: Image.Image, b: Image.Image) -> Image.Image:
    """The largest difference of the three channels at every pixel, mode L."""
    red, green, blue = ImageChops.difference(a, b).split()
    return ImageChops.lighter(ImageChops.lighter(red, green), blue)


def change_mask(change: Image.Image) -> Image.Image:
    """Mode L, white where `change` is not zero and a little around, small gaps closed."""
    reach = max(2, change.width // 40)
    wide = _grown(change.point(_ANY), reach)
    return ImageChops.invert(_grown(ImageChops.invert(wide), reach - max(1, change.width // 64)))


_ANY = [0] + [255] * 255


def _grown(mask: Image.Image, reach: int) -> Image.Image:
    """A mask of 0 and 255 grown by `reach` pixels in every direction."""
    across = mask.filter(ImageFilter.BoxBlur((reach, 0))).point(_ANY)
    return across.filter(ImageFilter.BoxBlur((0, reach))).point(_ANY)
