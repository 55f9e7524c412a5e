// Weaves, prints and rough ground of the second training cast. Positions are metres on the cloth.
uniform vec3 top_ink, top_ink2, outer_ink, outer_ink2, bottom_ink, bottom_ink2, bag_ink, hat_ink, sole_colour;
uniform int top_weave, outer_weave, bottom_weave, print_front, print_back, bag_design;
uniform float weave_scale, print_size, sleeve_split, hem_band, yoke;
uniform vec2 print_place;

float stripe(float x, float low, float high) { return step(low, x) * step(x, high); }

// Cloth of kind `kind` (see costumes.WEAVES from 2 on) at u; v = height in torso coordinates, 0 .. 1.
vec3 woven(int kind, vec2 u, float v, float seed, vec3 a, vec3 b, vec3 c) {
    vec2 q = u / weave_scale;
    if (kind == 2) return fract(q.y * 9.) < .5 ? a : b;
    if (kind == 3) {
        float t = fract(q.y * 5.);
        return t < .45 ? a : t < .60 ? b : t < .70 ? a : t < .92 ? c : b;
    }
    if (kind == 4) return mix(a, b, .85 * step(fract(q.x * 20.), .3));
    if (kind == 5) return mix(a, b, .5 * (step(.5, fract(q.x * 14.)) + step(.5, fract(q.y * 14.))));
    if (kind == 6) {
        vec2 t = fract(q * 7.);
        vec3 warp = t.x < .40 ? a : t.x < .55 ? b : t.x < .85 ? a * .55 : c;
        vec3 weft = t.y < .40 ? a : t.y < .55 ? b : t.y < .85 ? a * .55 : c;
        return mix(warp, weft, .5);
    }
    if (kind == 7) {
        float zig = fract(q.y * 45. + abs(fract(q.x * 20.) - .5) * 2.);
        return mix(a, b, .45 * step(.5, zig));
    }
    if (kind == 8) {
        vec2 t = abs(fract(q * vec2(8., 6.)) - .5);
        return t.x + t.y < .5 ? a : b;
    }
    if (kind == 9) {
        vec2 t = q * 14.;
        t.x += .5 * mod(floor(t.y), 2.);
        return length(fract(t) - .5) < .27 ? b : a;
    }
    if (kind == 10) {
        float one = noise(vec3(q * 70., seed)), two = noise(vec3(q * 70., seed + 9.));
        return one > .56 ? mix(a, vec3(.03), .7) : two > .58 ? mix(a, b, .4) : a;
    }
    if (kind == 11) {
        vec2 cell = floor(q * 11.), t = fract(q * 11.) - .5;
        vec2 shift = (vec2(hash(cell + seed), hash(cell + seed + 5.)) - .5) * .5;
        float r = length(t - shift), turn = atan(t.y - shift.y, t.x - shift.x);
        float petal = .20 + .08 * sin(turn * 5.);
        return r < .07 ? c : r < petal * step(.25, hash(cell + 3.)) ? b : a;
    }
    if (kind == 12) return mix(a, b, smoothstep(.75, .05, v));
    if (kind == 13) return v > .62 ? b : v > .56 ? c : a;
    if (kind == 14) return fract((q.x + q.y) * 9.) < .45 ? a : b;
    if (kind == 15) {
        vec2 t = fract(q * 9.);
        return min(t.x, t.y) < .09 ? b : a;
    }
    if (kind == 16) {
        vec2 cell = floor(q * 16.), t = fract(q * 16.) - .5;
        float angle = hash(cell + seed) * 6.3;
        vec2 r = mat2(cos(angle), -sin(angle), sin(angle), cos(angle)) * t;
        float ink = step(abs(r.x), .34) * step(abs(r.y), .12) * step(.35, hash(cell + 7.));
        return mix(a, hash(cell) < .6 ? b : c, ink);
    }
    if (kind == 17) return abs(u.x) > .115 ? b : a;
    return a;
}

// Ink of a printed motif (see costumes.MOTIFS) at p in -1..1: 0 none, 1 first, 2 second colour.
float motif(int kind, vec2 p, float seed) {
    float r = length(p);
    if (max(abs(p.x), abs(p.y)) > 1.) return 0.;
    if (kind == 1) {
        float row = floor((p.y + 1.) * 2.5), inside = fract((p.y + 1.) * 2.5);
        float width = .45 + .55 * hash(vec2(row, seed));
        if (abs(p.x) > width || abs(inside - .5) > .33) return 0.;
        vec2 pixel = vec2(floor((p.x + 1.) * 14.), floor(inside * 5.) + row * 5.);
        return step(.38, hash(pixel + seed)) * (hash(vec2(row, seed + 2.)) < .75 ? 1. : 2.);
    }
    if (kind == 2) {
        vec2 cell = floor((p * .5 + .5) * vec2(4., 5.));
        cell.x = min(cell.x, mod(seed, 3.) < 1. ? 3. - cell.x : cell.x);
        return step(.42, hash(cell + seed));
    }
    if (kind == 3) return r < .62 ? 1. : r < .72 ? 2. : 0.;
    if (kind == 4) return r > .70 && r < .95 ? 1. : abs(p.y) < .16 && abs(p.x) < .5 ? 2. : 0.;
    if (kind == 5) return r < .55 + .35 * cos(atan(p.x, p.y) * (3. + mod(seed, 4.))) ? 1. : 0.;
    if (kind == 6) {
        if (abs(p.x) > .8) return 0.;
        float n = noise(vec3(p * 7., seed * 3.));
        return n > .58 ? 1. : n > .42 ? 2. : .35;
    }
    if (kind == 7) return abs(abs(p.x) - abs(p.y)) < .24 ? 1. : 0.;
    return abs(p.y) > .34 ? 0. : abs(p.y) > .26 ? 2. : step(.4, hash(floor(vec2(p.x * 9., p.y * 7.)) + seed));
}

vec3 printed_on(vec3 cloth, vec2 place, float seed, bool front, vec3 ink, vec3 ink2) {
    int kind = front ? print_front : print_back;
    if (kind == 0) return cloth;
    vec2 size = vec2(print_size, kind == 8 ? print_size * 1.2 : print_size * 1.25);
    float share = motif(kind, (place - vec2(front ? print_place.x : 0., 0.)) / size, seed);
    return share > 1.5 ? ink2 : mix(cloth, ink, min(share, 1.));
}
