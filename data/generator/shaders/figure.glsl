// Main of every program that draws people; person.glsl defines surface().
uniform mat4 moving_light;
uniform sampler2DShadow moving_shadow;
uniform int identity;
layout(location = 0) out vec4 colour;
layout(location = 1) out uint owner;

float edge_shadow(sampler2DShadow map, mat4 light, vec3 p, float bias) {
    vec3 q = (light * vec4(p, 1)).xyz * .5 + .5;
    return any(greaterThan(abs(q - .5), vec3(.499))) ? 1. : texture(map, vec3(q.xy, q.z - bias));
}

void main() {
    vec3 view = normalize(eye - world);
    Surface s = plain_surface(view);
    surface(s);

    float facing = max(dot(s.normal, sun_direction), 0.), sun = 0.;
    if (facing > 0.) {
        vec3 p = world + normalize(surface_normal) * .012;
        sun = facing * edge_shadow(static_shadow, static_light, p, .0006)
                     * shadow(moving_shadow, moving_light, p, 1.2, .0012);
    }
    // Less sky is seen near the ground and at grazing angles, where folds and limbs stand in the way.
    float open_sky = s.occlusion * mix(.55, 1., smoothstep(0., 1., world.z))
                                 * mix(.7, 1., smoothstep(-.1, .4, dot(s.normal, view)));
    vec3 light = s.albedo * (hemisphere(s.normal) * open_sky + sun_colour * sun + lamp_light(s.normal) + s.glow);
    light += highlight(s, view, sun_direction) * sun * sun_colour;
    colour = vec4(mix(light, fog_colour, haze()), 1);
    owner = uint(identity);
}
