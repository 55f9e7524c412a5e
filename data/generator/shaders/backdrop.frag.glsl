// Lay a plate under the people: their shadows take away sunlight, the soft stain under their feet
// takes away both.
in vec2 uv;
uniform sampler2D other_light, sun_light, depths, contact;
uniform sampler2DShadow moving_shadow;
uniform mat4 moving_light, inverse_view_projection;
uniform vec4 window, contact_area;  // left, top, right, bottom of the picture; x, y, 1/width, 1/height
uniform float shadow_radius;
layout(location = 0) out vec4 colour;
layout(location = 1) out uint owner;

float shadow(vec3 p) {
    vec3 q = (moving_light * vec4(p, 1)).xyz * .5 + .5;
    if (any(greaterThan(abs(q - .5), vec3(.499)))) return 1.;
    vec2 s = vec2(shadow_radius / float(textureSize(moving_shadow, 0).x));
    float sum = 0.;
    for (int i = -1; i <= 1; i++)
        for (int j = -1; j <= 1; j++)
            sum += texture(moving_shadow, vec3(q.xy + vec2(i, j) * s, q.z - .0015));
    return sum / 9.;
}

void main() {
    vec2 at = mix(window.xy, window.zw, uv);
    float depth = texture(depths, at).r;
    vec4 p = inverse_view_projection * vec4(at * 2. - 1., depth * 2. - 1., 1);
    p.xyz /= p.w;
    vec3 other = texture(other_light, at).rgb, sun = texture(sun_light, at).rgb;
    vec2 ground = (p.xy - contact_area.xy) * contact_area.zw;
    float open_sky = 1.;
    if (abs(p.z) < .15 && all(lessThan(abs(ground - .5), vec2(.5))))
        open_sky = 1. - texture(contact, ground).r;
    if (dot(sun, sun) > 1e-6) sun *= shadow(p.xyz);
    colour = vec4(other * open_sky + sun * (.35 + .65 * open_sky), 1);
    owner = 0u;
    gl_FragDepth = depth;
}
