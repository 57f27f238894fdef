"""The compiled view: every kind of call once, what is read below, the results above."""

import pytest
from compiler.recorded import compiled_step
from diagrams.reading import Picture, overlapping_parts
from diagrams.test_geometry import check_texts
from tables import one_in

import tinygrad_rnn as tg
from tinygrad_rnn.errors import CompileError, DrawError

KINDS = [tg.nn.RNN, tg.nn.LSTM, tg.nn.GRU]


@pytest.mark.parametrize("kind", one_in(3, KINDS))
def test_stages_lie_apart_and_every_wire_has_its_ends(kind):
    diagram = tg.draw(compiled_step(kind), view="compiled")
    drawn = Picture(diagram.svg)
    parts = drawn.all("op", "input", "output", "parameter")
    assert overlapping_parts(parts) == []
    check_texts(diagram.drawing)
    ids = {part.id for part in parts}
    assert all({edge.source, edge.target} <= ids for edge in diagram.drawing.edges)


@pytest.mark.parametrize("theme", one_in(3, ["light", "dark", "print"]))
def test_it_is_drawn_in_every_theme_and_format(theme):
    diagram = tg.draw(compiled_step(steps=3), view="compiled", theme=theme)
    check_texts(diagram.drawing)
    assert all(diagram.render(format) for format in (".png", ".pdf", ".dot"))


def test_the_picture_is_the_outline():
    step = compiled_step()
    outline, drawn = step.outline(), Picture(tg.draw(step, view="compiled").svg)
    assert len(drawn.all("op")) == len(outline.stages)
    assert {part.id for part in drawn.all("parameter")} == {
        f"parameter-{name}" for name in ("W_xh", "W_hh", "b_h", "W_hy", "b_y")
    }
    assert {part.texts[0] for part in drawn.all("output")} == {name for name, _ in outline.results}


def test_what_a_loop_carries_goes_back_to_where_it_is_read():
    diagram = tg.draw(compiled_step(), view="compiled")
    boxes = {shape.id: shape for shape in diagram.drawing.shapes}
    carried = [edge for edge in diagram.drawing.edges if edge.cls == "carried"]
    assert len(carried) == 2  # h forward, ∂L/∂z backward
    for edge in carried:
        assert all(
            "one after the other" in boxes[end].tooltip for end in (edge.source, edge.target)
        )


def test_the_description_counts():
    step = compiled_step(steps=6)
    diagram = tg.draw(step, view="compiled", title="One step")
    assert diagram.title == "One step"
    assert f"{sum(stage.calls for stage in step.outline().stages)} calls" in diagram.description
    assert "up to 6 times" in diagram.description


def test_what_it_is_of():
    step = compiled_step()
    with pytest.raises(DrawError, match='view="compiled"'):
        tg.draw(step)
    with pytest.raises(DrawError, match="without gradients"):
        tg.draw(step, view="compiled", gradients=True)
    with pytest.raises(DrawError, match=r"what tg\.compile returned, not of a Tensor"):
        tg.draw(tg.tensor(1.0, requires_grad=True) * 2, view="compiled")
    with pytest.raises(DrawError, match="a compiled function, not int"):
        tg.draw(3)
    with pytest.raises(DrawError, match="player"):
        tg.draw(step, view="compiled").render(".html")
    with pytest.raises(CompileError, match="call the function twice"):
        tg.draw(tg.compile(lambda x: x), view="compiled")
