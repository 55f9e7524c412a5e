// Light shared by people and environment: one sun (or ceiling panel field) with shadows, a
// sky/ground hemisphere, up to eight unshadowed lamps, and haze.
uniform vec3 sun_direction, sun_colour, sky_colour, ground_colour, fog_colour, lamp_colour;
uniform float fog_density, shadow_radius;
uniform vec4 lamps[8];
uniform int lamp_count;
uniform mat4 static_light;
uniform sampler2DShadow static_shadow;

float shadow(sampler2DShadow map, mat4 light, vec3 p, float radius, float bias) {
    vec3 q = (light * vec4(p, 1)).xyz * .5 + .5;
    if (any(greaterThan(abs(q - .5), vec3(.499)))) return 1.;
    vec2 step_ = vec2(radius / float(textureSize(map, 0).x));
    float turn = 6.283 * hash(gl_FragCoord.xy);
    vec2 a = vec2(cos(turn), sin(turn)) * step_, b = vec2(-a.y, a.x);
    float sum = texture(map, vec3(q.xy + a, q.z - bias)) + texture(map, vec3(q.xy - .5 * a + b, q.z - bias));
    return (sum + texture(map, vec3(q.xy - .5 * a - b, q.z - bias))) / 3.;
}

vec3 hemisphere(vec3 n) { return mix(ground_colour, sky_colour, .5 + .5 * n.z); }

vec3 lamp_light(vec3 n) {
    vec3 sum = vec3(0);
    for (int i = 0; i < lamp_count; i++) {
        vec3 d = lamps[i].xyz - world;
        float r2 = dot(d, d);
        sum += lamps[i].w * max(dot(n, d * inversesqrt(r2)) * .8 + .2, 0.) / (r2 + 1.5);
    }
    return sum * lamp_colour;
}

float haze() { return 1. - exp(-length(eye - world) * fog_density); }
