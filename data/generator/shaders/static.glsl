// Main of every program that draws the environment into a plate: light from the sun is kept apart
// from all other light, so that moving shadows can be laid over it later.
layout(location = 0) out vec4 other_light;
layout(location = 1) out vec4 sun_light;
layout(location = 2) out vec4 normal_out;

void main() {
    vec3 view = normalize(eye - world);
    Surface s = plain_surface(view);
    vec3 flat_normal = s.normal;
    surface(s);
#ifdef WARDROBE  // gravel, stains and wear
    float grit = hash(vec2(floor(at.x * 8. + .5), 3.));
    s.albedo *= max(1. + 1.3 * grit * (noise(world * 26.) - .5) + .7 * (fbm(world * 2.7) - .46), .1);
#endif
    vec3 n = s.normal;
    float sun = max(dot(n, sun_direction), 0.);
    if (sun > 0.) sun *= shadow(static_shadow, static_light, world + flat_normal * .02, shadow_radius, .0008);
    float clear = 1. - haze();
    vec3 shine = s.specular * pow(1. - max(dot(n, view), 0.), 4.) * sky_colour * 1.5;
    vec3 other = s.albedo * (hemisphere(n) + lamp_light(n) + s.glow) + shine;
    other_light = vec4(other * clear + fog_colour * (1. - clear), 1);
    sun_light = vec4((s.albedo + highlight(s, view, sun_direction)) * sun_colour * sun * clear, 1);
    normal_out = vec4(flat_normal, 1);
}
