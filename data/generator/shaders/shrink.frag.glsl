// Halve a plate: linear filtering at the corner of four texels is their mean.
in vec2 uv;
uniform sampler2D other_light, sun_light, depths;
layout(location = 0) out vec4 other_out;
layout(location = 1) out vec4 sun_out;
void main() {
    other_out = texture(other_light, uv);
    sun_out = texture(sun_light, uv);
    gl_FragDepth = texture(depths, uv).r;
}
