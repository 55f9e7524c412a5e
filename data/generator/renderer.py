"""Off-screen renderer: static scenes become plates, people are drawn over them frame by frame.

A plate is a camera's view of the empty scene, with sunlight kept apart from all other light. It is
rendered once, slowly and well (supersampled, with screen-space ambient occlusion). A frame then
costs one pass over the plate, which lays the people's shadows over it, and the people themselves.
"""

from __future__ import annotations

import moderngl
import numpy as np

from .cameras import Camera
from .gpu import (
    CONTACT_CELLS,
    SKIN,
    Mesh,
    Placed,
    Plate,
    Target,
    coarser,
    contact_stains,
    noise_volume,
    program_text,
    set_uniforms,
    source,
    zoom,
)
from .lights import Light
from .scenes import Scene

FULL = (0.0, 0.0, 1.0, 1.0)
MAX_LAMPS = 8
STATIC_SHADOW = 2048


class Renderer:
    """One OpenGL context (EGL, so a machine without a display will do) and all that lives in it."""

    def __init__(self, shadow_size: int = 1024, wardrobe: bool = False):
        self.wardrobe = wardrobe  # everybody wears a Costume
        self.ctx = moderngl.create_standalone_context(backend="egl")
        self.ctx.enable(moderngl.DEPTH_TEST)
        self.programs: dict[int, moderngl.Program] = {}
        self.targets: dict[tuple[int, int], Target] = {}
        vertex, no_colour = (
            "#version 330\n" + source("depth.vert.glsl"),
            "#version 330\nvoid main() {}",
        )
        self.depth_program = self.ctx.program(vertex_shader=vertex, fragment_shader=no_colour)
        self.screen = {
            name: self._screen_program(name) for name in ("occlusion", "shrink", "backdrop")
        }
        volume = noise_volume()
        self.noise = self.ctx.texture3d(volume.shape, 1, volume.tobytes(), alignment=1)
        self.noise.filter = (moderngl.LINEAR, moderngl.LINEAR)
        self.moving_shadow, self.moving_frame = self._shadow_map(shadow_size)
        self.contact = self.ctx.texture((CONTACT_CELLS, CONTACT_CELLS), 1, dtype="f1", alignment=1)
        self.contact.repeat_x = self.contact.repeat_y = False

    # -- building -------------------------------------------------------------------------------

    def figure(self, dressed) -> Mesh:
        """Upload a dressed body once; `Mesh.pose` then moves it."""
        still = np.zeros((len(dressed.rest), 6), "f4")
        faces = coarser(dressed.faces, dressed.rest, dressed.part)
        mesh = self.mesh(still, dressed.rest, dressed.at, dressed.ao, dressed.part, faces)
        mesh.uniforms = dict(dressed.materials)
        return mesh

    def mesh(self, vertices, rest, at, ambient, part, faces) -> Mesh:
        """Upload vertices (V, 6: position and normal), attributes and faces grouped by part."""
        ctx = self.ctx
        moving = ctx.buffer(np.ascontiguousarray(vertices, "f4"), dynamic=True)
        fixed = ctx.buffer(np.concatenate([rest, at, ambient[:, None]], 1).astype("f4"))
        owned, parts = [moving, fixed], []
        face_part = np.asarray(part)[faces[:, 0]].astype(int)
        layout = [
            (moving, "3f 3f", "position", "normal"),
            (fixed, "3f 4f 1f", "rest_attribute", "at_attribute", "ambient"),
        ]
        for number in np.unique(face_part):
            indices = ctx.buffer(np.ascontiguousarray(faces[face_part == number], "i4"))
            array = ctx.vertex_array(self.program(int(number)), layout, indices, skip_errors=True)
            parts.append((int(number), array))
            owned += [indices, array]
        indices = ctx.buffer(np.ascontiguousarray(faces, "i4"))
        depth = ctx.vertex_array(self.depth_program, [(moving, "3f 12x", "position")], indices)
        return Mesh(moving, parts, depth, [*owned, indices, depth])

    def program(self, part: int) -> moderngl.Program:
        if part not in self.programs:
            vertex, fragment = program_text(part, self.wardrobe)
            self.programs[part] = self.ctx.program(vertex_shader=vertex, fragment_shader=fragment)
        return self.programs[part]

    def _screen_program(self, name: str) -> moderngl.VertexArray:
        vertex = "#version 330\n" + source("screen.vert.glsl")
        fragment = "#version 330\n" + source(f"{name}.frag.glsl")
        return self.ctx.vertex_array(
            self.ctx.program(vertex_shader=vertex, fragment_shader=fragment), []
        )

    def _shadow_map(self, size: int) -> tuple[moderngl.Texture, moderngl.Framebuffer]:
        texture = self.ctx.depth_texture((size, size))
        texture.compare_func = "<="
        texture.filter = (moderngl.LINEAR, moderngl.LINEAR)
        texture.repeat_x = texture.repeat_y = False
        return texture, self.ctx.framebuffer(depth_attachment=texture)

    # -- plates ---------------------------------------------------------------------------------

    def plate(
        self, scene: Scene, light: Light, camera: Camera, size=None, samples: int = 20
    ) -> Plate:
        """Render the empty scene; `size` (width, height) defaults to the camera's."""
        width, height = size or (camera.width, camera.height)
        ctx, big = self.ctx, (2 * width, 2 * height)
        vertices = np.concatenate([scene.positions, scene.normals], 1)
        mesh = self.mesh(
            vertices, scene.tints, scene.params, np.ones(len(vertices)), scene.parts, scene.faces
        )
        shadow, shadow_frame = self._shadow_map(STATIC_SHADOW)
        matrix = light.shadow_matrix(scene.centre, scene.radius)
        self._draw_depth(shadow_frame, matrix, [(mesh, np.eye(4))])
        large = [ctx.texture(big, 4, dtype="f2") for _ in range(3)]
        large_depth = ctx.depth_texture(big)
        large_depth.compare_func = ""
        frame = ctx.framebuffer(large, large_depth)
        frame.use()
        frame.clear(*light.fog, 0.0)
        for texture in large[1:]:  # only the sky glows where nothing is drawn
            blank = ctx.framebuffer([texture])
            blank.clear()
            blank.release()
        frame.use()
        view_projection = camera.view_projection()
        shared = self._light_uniforms(light, matrix) | {
            "eye": camera.eye,
            "view_projection": view_projection,
        }
        self.noise.use(1)
        shadow.use(2)
        for part, array in mesh.parts:
            set_uniforms(self.program(part), shared | {"model": np.eye(4)})
            array.render()
        lit = ctx.texture(big, 4, dtype="f2")
        lit_frame = ctx.framebuffer([lit])
        self._screen(
            lit_frame,
            "occlusion",
            dict(other_light=large[0], normals=large[2], depths=large_depth),
            {
                "view_projection": view_projection,
                "inverse_view_projection": np.linalg.inv(view_projection),
                "samples": samples,
                "radius": scene.occlusion_radius,
            },
        )
        other, sun = (ctx.texture((width, height), 4, dtype="f2") for _ in range(2))
        depth = ctx.depth_texture((width, height))
        depth.compare_func = ""
        depth.filter = (moderngl.NEAREST, moderngl.NEAREST)
        small = ctx.framebuffer([other, sun], depth)
        self._screen(
            small, "shrink", dict(other_light=lit, sun_light=large[1], depths=large_depth), {}
        )
        for item in (lit_frame, lit, frame, *large, large_depth):
            item.release()
        mesh.release()
        return Plate(
            camera,
            light,
            other,
            sun,
            depth,
            shadow,
            matrix,
            [other, sun, depth, shadow, shadow_frame, small],
        )

    # -- frames ---------------------------------------------------------------------------------

    def render(
        self, plate: Plate, people: list[Placed], window=FULL, size=None, reach: float = 9.0
    ):
        """Draw people over a plate.

        Args:
            plate: The empty scene.
            people: At most 255; the owner buffer holds their positions in this list, from 1.
            window: Left, top, right, bottom of the picture to draw, as fractions of the camera's.
            size: Width and height of the result; the plate camera's by default.
            reach: Radius in metres, around the people's middle, that receives moving shadows.

        Returns:
            Linear light, float32 (H, W, 3), and owners, uint8 (H, W), 0 where nobody is seen.
        """
        size = size or (plate.camera.width, plate.camera.height)
        if size not in self.targets:
            self.targets[size] = Target(self.ctx, *size)
        target, light = self.targets[size], plate.light
        spots = np.array([p.model[:2, 3] for p in people]).reshape(-1, 2)
        middle = spots.mean(0) if len(spots) else np.zeros(2)
        moving = light.shadow_matrix((*middle, 0.9), reach)
        self._draw_depth(self.moving_frame, moving, [(p.mesh, p.model) for p in people])
        area = (middle[0] - reach, middle[1] - reach, 0.5 / reach, 0.5 / reach)
        self.contact.write(contact_stains(people, middle, reach))

        left, top, right, bottom = window
        full = plate.camera.view_projection()
        self._screen(
            target.drawn,
            "backdrop",
            {
                "other_light": plate.other,
                "sun_light": plate.sun,
                "depths": plate.depth,
                "contact": self.contact,
                "moving_shadow": self.moving_shadow,
            },
            {
                "moving_light": moving,
                "inverse_view_projection": np.linalg.inv(full),
                "window": (left, 1 - bottom, right, 1 - top),
                "contact_area": area,
                "shadow_radius": light.softness,
            },
        )
        self._draw_people(plate, people, zoom(full, window), moving)
        return target.read(self.ctx)

    def _draw_people(self, plate: Plate, people: list[Placed], view_projection, moving) -> None:
        shared = self._light_uniforms(plate.light, plate.shadow_matrix)
        shared |= {
            "eye": plate.camera.eye,
            "view_projection": view_projection,
            "moving_light": moving,
        }
        self.noise.use(1)
        plate.shadow.use(2)
        self.moving_shadow.use(3)
        ctx, ready = self.ctx, set()
        for number, person in enumerate(people, 1):
            own = person.mesh.uniforms | {"model": person.model, "identity": number}
            for part, array in reversed(
                person.mesh.parts
            ):  # outer layers first hide what they cover
                program = self.program(part)
                if part not in ready:
                    set_uniforms(program, shared)
                    ready.add(part)
                set_uniforms(program, own)
                (ctx.enable if part == SKIN else ctx.disable)(moderngl.CULL_FACE)
                array.render()
        ctx.disable(moderngl.CULL_FACE)

    def _draw_depth(self, frame, matrix, meshes) -> None:
        frame.use()
        frame.clear(depth=1.0)
        set_uniforms(self.depth_program, {"view_projection": matrix})
        for mesh, model in meshes:
            set_uniforms(self.depth_program, {"model": model})
            mesh.depth.render()

    def _light_uniforms(self, light: Light, shadow_matrix: np.ndarray) -> dict:
        lamps = np.zeros((MAX_LAMPS, 4), "f4")
        lamps[:, 2] = 50.0
        if light.lamps:
            lamps[: len(light.lamps)] = light.lamps
        return {
            "sun_direction": light.direction,
            "sun_colour": light.sun,
            "sky_colour": light.sky,
            "ground_colour": light.ground,
            "fog_colour": light.fog,
            "fog_density": light.fog_density,
            "lamp_colour": light.lamp_colour,
            "lamps": lamps,
            "lamp_count": len(light.lamps),
            "shadow_radius": light.softness,
            "static_light": shadow_matrix,
            "noise_texture": 1,
            "static_shadow": 2,
            "moving_shadow": 3,
        }

    def _screen(self, frame, name: str, textures: dict, uniforms: dict) -> None:
        array = self.screen[name]
        frame.use()
        for unit, (key, texture) in enumerate(textures.items(), 4):
            texture.use(unit)
            set_uniforms(array.program, {key: unit})
        set_uniforms(array.program, uniforms)
        self.ctx.depth_func = "1"  # always: the pass brings its own depth
        array.render(moderngl.TRIANGLES, vertices=3)
        self.ctx.depth_func = "<"
