// Screen-space ambient occlusion of a plate (after Mittring 2007: samples in a normal-oriented
// hemisphere), multiplied into the light that does not come from the sun.
in vec2 uv;
uniform sampler2D other_light, normals, depths;
uniform mat4 view_projection, inverse_view_projection;
uniform int samples;
uniform float radius;
layout(location = 0) out vec4 colour;

float hash(vec2 p) { return fract(sin(dot(p, vec2(12.9898, 78.233))) * 43758.5453); }

vec3 world_at(vec2 at) {
    vec4 p = inverse_view_projection * vec4(at * 2. - 1., texture(depths, at).r * 2. - 1., 1);
    return p.xyz / p.w;
}

void main() {
    vec3 n = texture(normals, uv).xyz, light = texture(other_light, uv).rgb;
    colour = vec4(light, 1);
    if (dot(n, n) < .1) return;
    vec3 p = world_at(uv), far = (view_projection * vec4(p, 1)).xyw;
    float hidden = 0.;
    for (int i = 0; i < samples; i++) {
        float a = hash(gl_FragCoord.xy + float(i) * 1.37), b = hash(gl_FragCoord.yx * 1.7 + float(i) * 2.11);
        float z = 1. - 2. * a, ring = sqrt(max(0., 1. - z * z)), turn = 6.283 * b;
        vec3 d = vec3(ring * cos(turn), ring * sin(turn), z);
        d *= sign(dot(d, n));
        vec3 q = p + n * .02 + d * radius * (.08 + .92 * fract(float(i) * .618 + a) * fract(a * 7.3 + b));
        vec4 s = view_projection * vec4(q, 1);
        vec2 at = s.xy / s.w * .5 + .5;
        if (any(greaterThan(abs(at - .5), vec2(.5)))) continue;
        vec4 met = view_projection * vec4(world_at(at), 1);
        float gap = s.w - met.w;
        hidden += step(.015, gap) * smoothstep(radius * 2., radius * .5, gap);
    }
    colour.rgb *= pow(1. - hidden / float(samples), 1.4);
}
