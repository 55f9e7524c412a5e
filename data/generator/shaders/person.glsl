// Skin, hair, cloth, leather: the look of people. One program per PART (see anatomy.PARTS), because a
// software rasteriser runs every branch it is given. Cloth: at = (arm, leg, torso, arm influence),
// at.w == 2 marks collars and hoods, whose edges are modelled and never cut.
#define SKIN 0
#define TOP 1
#define BOTTOM 2
#define SKIRT 3
#define SHOE 4
#define HAIR 5
#define HAT 6
#define BAG 7
#define EYE 8
#define OUTER 9
#define PROP 10
#define SCARF 11

uniform float hip, neck, seed;

float ellipse(vec2 p, vec2 radius) { return length(p / radius); }

// Weave and folds: a slow change of tone, and normals that ripple along the drop of the cloth.
void cloth(inout Surface s, vec3 colour, float frequency, float depth) {
    vec3 p = rest + seed;
    s.albedo = colour * (.88 + .25 * fbm(p * vec3(26, 26, 15)));
    s.normal = bump(s.normal, p * vec3(1, 1, .38), frequency, depth * .72);
    s.occlusion *= .80 + .36 * fbm(p * vec3(9, 9, 4));
}

#if PART == TOP || PART == OUTER
uniform float strap_side;
uniform int strap;
uniform vec3 bag_colour;

// Straps of bags, painted on whichever cloth is outermost: returns the share of strap.
float strap_here() {
    if (strap == 0 || at.w > .5) return 0.;
    float x = rest.x * strap_side, d = 1.;
    if (strap == 1 && rest.y < .05 && at.z > .42) d = abs(abs(rest.x) - .115 + .02 * at.z - .5 * max(.58 - at.z, 0.));
    if (strap == 2) d = abs(x * .80 + (at.z - .52) * .20);
    if (strap == 3 && at.z > .05) d = abs(x - .135 - .11 * max(.6 - at.z, 0.));
    return 1. - smoothstep(.016, .020, d);
}

vec3 with_strap(vec3 colour) {
    float s = strap_here();
    return mix(colour, bag_colour * .8, s);
}
#endif

#if PART == SKIN
uniform vec3 skin_colour, hair_colour, eye_centre, bottom_colour;
uniform float mouth, chin, crown, face, skirt_hem, age;
uniform int beard, glasses, female, hair_kind, bottom_detail, shoe_kind;
uniform vec3 shoe_colour;

void surface(inout Surface s) {
    vec3 c = skin_colour * (.90 + .2 * fbm(rest * 30.));
    float x = abs(rest.x);
    vec2 e = vec2(x - eye_centre.x, rest.z - eye_centre.z);
    float ridge = eye_centre.z - mouth;  // the face's own unit
    if (rest.z > chin - .01 && rest.y < eye_centre.y + .035 && at.w < .1) {
        float browline = e.y - .30 * ridge + .08 * abs(e.x);
        float brow = (1. - smoothstep(.025, .075, abs(browline / ridge)))
                   * (1. - smoothstep(.018, .024, abs(e.x - .001)));
        c = mix(c, hair_colour * .8, brow * (female == 1 ? .7 : .85));
        c *= mix(vec3(1), vec3(.70, .62, .60), 1. - smoothstep(.5, 1.3, ellipse(e, vec2(.026, .018))));
        float lash = 1. - smoothstep(.002, .004, abs(e.y - .007 + 9. * e.x * e.x));
        if (abs(e.x) < .018) c = mix(c, vec3(.02), lash * (female == 1 ? .8 : .4));
        float lips = 1. - smoothstep(.8, 1.1, ellipse(vec2(x, rest.z - mouth + .003), vec2(.026, .0085)));
        c = mix(c, c * (female == 1 ? vec3(.95, .45, .45) : vec3(.88, .62, .58)), lips);
        c *= 1. - .45 * (1. - smoothstep(.0, .0022, abs(rest.z - mouth + .002))) * step(x, .022);
        vec3 flush = vec3(1., .93, .92);
        c *= mix(vec3(1), flush, 1. - smoothstep(.5, 1.2, ellipse(vec2(x - .042, rest.z - mouth - .035), vec2(.025, .022))));
        if (age > 50.) c *= .93 + .1 * noise(vec3(rest.x * 120., rest.y * 120., rest.z * 420.));
        if (beard > 0) {
            float strand = noise(rest * vec3(420, 420, 200));
            float line = mouth + .012 + 9. * max(x - .035, 0.) * .12 + max(x - .045, 0.) * 1.5;
            float full = 1. - smoothstep(line - .012, line + .006, rest.z + .006 * strand);
            full *= 1. - lips;
            float tache = (1. - smoothstep(.8, 1.2, ellipse(vec2(x, rest.z - mouth - .014), vec2(.032, .008))));
            float on = beard == 2 ? tache : max(full, tache);
            c = mix(c, hair_colour * (.7 + .7 * strand), on * (beard == 1 ? .38 : .88));
        }
        if (glasses > 0) {
            float rim = ellipse(e + vec2(0, .003), vec2(.026, .021));
            if (glasses == 2 && rim < 1.05) { c = vec3(.012); s.specular = .35; s.roughness = .2; }
            float frame = 1. - smoothstep(.05, .12, abs(rim - 1.));
            if (abs(e.y - .004) < .003 && x < eye_centre.x) frame = max(frame, step(x, .010));
            c = mix(c, vec3(.02), frame);
        }
    } else if (glasses > 0 && rest.z > mouth && rest.y < eye_centre.y + .10 && at.w < .1) {
        if (abs(rest.z - eye_centre.z - .006) < .003) c = vec3(.02);
    }
    // The scalp below hair is toned, so that thin places do not shine through.
    float scalp = smoothstep(.065, .085, rest.y - face) * smoothstep(eye_centre.z - .01, eye_centre.z + .05, rest.z);
    scalp = max(scalp, smoothstep(.0, .015, rest.z - eye_centre.z - .080));
    if (hair_kind == 1) scalp = max(scalp, smoothstep(eye_centre.z + .065, eye_centre.z + .075, rest.z));
    if (hair_kind > 0 && at.w < .1) c = mix(c, hair_colour, scalp * (hair_kind == 6 ? .35 : .8));
    if (hair_kind == 0 && at.w < .1) { s.specular = .12; s.roughness = .45; }
    if (skirt_hem > 0. && bottom_detail > 1 && at.w < .3 && at.y > 0. && at.z < .1)
        c = mix(vec3(.016), c, bottom_detail == 3 ? .35 : .08);
    if (shoe_kind == 5 && at.y > 1.02 && at.z < 0. && at.w < .1 && abs(fract(rest.y * 9.) - .5) < .17) c = shoe_colour;
    if (shoe_kind < 4 && skirt_hem == 0. && at.y > (mod(seed, 3.) < 1. ? .80 : .90) && at.z < 0. && at.w < .1)
        c = mod(seed, 2.) < 1. ? vec3(.5) : vec3(.02);  // socks
    s.specular = max(s.specular, .07);
    s.roughness = .55;
    s.albedo = c;
}
#endif

#if PART == EYE
uniform int glasses;

void surface(inout Surface s) {
    float r = length(at.xz);
    s.albedo = at.y < 0. && r < .48 ? vec3(.02, .012, .008) : vec3(.55, .53, .50);
    if (glasses == 2) s.albedo = vec3(.012);
    s.occlusion *= .6;
}
#endif

#if PART == TOP
uniform vec3 top_colour, top_second;
uniform int top_pattern, top_kind, outer_kind;
uniform float top_hem, sleeve, pattern_scale;

vec3 printed() {
    vec3 a = top_colour, b = top_second;
    bool arm = at.w > .5;
    float k = pattern_scale;
    float across = arm ? rest.y * 1.2 : rest.x, down = arm ? at.x * .55 : (at.z * (neck - hip));
    bool front = rest.y < -.01;
    if (top_pattern == 1) return fract(down * 11. / k) < .5 ? a : b;
    if (top_pattern == 2) return mix(a, b, .7 * step(fract(across * 26. / k), .16));
    if (top_pattern == 3) return (arm ? at.x > .30 : at.z < .58) ? b : a;
    if (top_pattern == 4) {
        vec2 p = vec2(rest.x, at.z - .68) / vec2(.10, .17) / min(k, 1.15);
        if (arm || !front) return a;
        float shape = k < .85 ? length(p) : k < 1.2 ? max(abs(p.x), abs(p.y)) : abs(p.x) + abs(p.y * 1.6);
        if (shape > 1.) return a;
        return mix(b, a, step(.56, noise(vec3(p * 4. + seed, seed))));
    }
    if (top_pattern == 5) {
        float h = step(.5, fract(across * 10. / k)), v = step(.5, fract(down * 10. / k));
        return mix(a, b, .5 * (h + v));
    }
    if (top_pattern == 6) return arm ? b : a;
    if (top_pattern == 7) {
        float level = .45 + .12 * k;
        return (!arm && abs(at.z - level) < .07) || (arm && abs(at.x - .34) < .07) ? b : a;
    }
    if (top_pattern == 8) {
        vec2 q = vec2(across, down) * 16. / k;
        q.x += .5 * mod(floor(q.y), 2.);
        return length(fract(q) - .5) < .26 ? b : a;
    }
    if (top_pattern == 9) return mix(a, vec3(.3), .38 * noise(rest * vec3(170, 170, 60)));
    if (top_pattern == 10) {
        float f = noise(vec3(across, down, arm ? 3. : rest.y) * 34. / k + seed);
        return f > .60 ? b : f < .36 ? mix(a, b, .45) : a;
    }
    return a;
}

#ifdef WARDROBE
vec3 worn(vec3 named) {
    bool arm = at.w > .5;
    vec2 u = vec2(arm ? rest.y * 1.2 : rest.x, arm ? at.x * .55 : at.z * (neck - hip));
    vec3 c = top_weave == 0 ? named : woven(top_weave, u, arm ? .7 : at.z, seed, top_colour, top_ink, top_ink2);
    if (at.w > 1.5) return top_colour;
    if (arm) return at.x > sleeve_split ? top_ink2 : c;
    if (at.z < top_hem + hem_band && outer_kind == 0) return top_ink2;
    vec2 place = vec2(rest.x, (at.z - print_place.y) * (neck - hip));
    bool front = rest.y < -.01;
    return front || outer_kind == 0 ? printed_on(c, place, seed, front, top_ink, top_ink2) : c;
}
#endif

void surface(inout Surface s) {
    bool arm = at.w > .5;
    vec3 c = printed();
#ifdef WARDROBE
    c = worn(c);
#endif
    if (at.w < 1.5) {
        float collar = top_kind == 6 ? 1.16 : 1. + .07 * smoothstep(-.03, .05, rest.y);
        if (top_kind == 0) {
            float x = abs(rest.x) * .56 / (neck - hip);
            if (x < .055 || x > .115) collar = .80 + .10 * smoothstep(-.05, .05, rest.y) + .04 * smoothstep(.03, .06, x);
        } else if (rest.y < -.02 && top_kind != 6) {
            float scoop = top_kind == 3 || top_kind == 2 ? .10 - .9 * abs(rest.x) : .055 - 4. * rest.x * rest.x;
            collar -= max(scoop, 0.);
        }
        if (arm ? at.x > sleeve : at.z < top_hem || at.z > collar) discard;
        bool edge = arm ? at.x > sleeve - .018 : at.z < top_hem + .018 || at.z > collar - .02;
        if (top_kind >= 4 && top_kind < 6) edge = edge || (arm ? at.x > sleeve - .07 : at.z < top_hem + .07);
        if (edge) c *= .78;
        if (rest.y < 0. && !arm) {
            if (top_kind == 3) {
                if (abs(rest.x) < .018) c *= abs(rest.x) > .015 ? .6 : 1.06;
                if (abs(rest.x) < .005 && abs(fract(at.z * 7.) - .5) < .06) c = vec3(.5);
            }
            if (top_kind == 2 && abs(rest.x) < .012 && at.z > .72) c *= .7;
            if (top_kind == 5) {
                vec2 p = vec2(abs(rest.x), at.z);
                if (p.y > .10 && p.y < .33 && abs(p.x - .13 + .20 * (p.y - .10)) < .005) c *= .5;
                if (abs(p.y - .33) < .009 && p.x < .09) c *= .5;
                if (p.y > .68 && abs(p.x - .026) < .004) c = vec3(.6);
            }
        }
        c = outer_kind == 0 ? with_strap(c) : c;
    } else if (top_kind == 5) c *= .85;
    bool knit = top_kind == 4 || top_kind == 6;
    cloth(s, c, knit ? 22. : 13., knit ? .020 : .030);
}
#endif

#if PART == OUTER
uniform vec3 outer_colour;
uniform int outer_kind;
uniform float outer_hem, outer_sleeve, outer_open, tail;

void surface(inout Surface s) {
    bool arm = at.w > .5;
    float x = abs(rest.x);
    vec3 c = outer_colour;
#ifdef WARDROBE
    vec2 u = vec2(arm ? rest.y * 1.2 : rest.x, arm ? at.x * .55 : at.z * (neck - hip));
    c = woven(outer_weave, u, arm ? .7 : at.z, seed, outer_colour, outer_ink, outer_ink2);
    if (at.w > 1.5) c = outer_colour;
    else if (!arm && at.z > yoke || arm && at.x < .35 * (1. - yoke)) c = outer_ink;
    if (arm && sleeve_split < 1.5) c = outer_ink;
    if (at.w < 1.5 && !arm && tail == 0. && at.z < outer_hem + hem_band) c = outer_ink2;
    if (!arm && at.w < 1.5 && rest.y > .0)
        c = printed_on(c, vec2(rest.x, (at.z - .62) * (neck - hip)), seed, false, outer_ink, outer_ink2);
#endif
    if (at.w < 1.5) {
        float low = tail > 0. ? tail : 9.;
        if (arm ? at.x > outer_sleeve : at.z < outer_hem && tail == 0. || at.y > low && at.z < .1) discard;
        if (!arm && at.z > 1. + .07 * smoothstep(-.03, .05, rest.y)) discard;
        bool front = rest.y < .0 && !arm;
        // Lapels open towards the neck; an open garment also widens towards its hem.
        float gap = outer_open * (1. + .35 * max(.5 - at.z, 0.));
        if (outer_kind != 4 || outer_open > 0.) gap = max(gap, (at.z - .80) * .35);
        if (front && x < gap) discard;
        if (front) {
            if (x < gap + .006) c *= .55;
            if (outer_open == 0. && x < .005 && outer_kind != 1) c *= .35;
            if (outer_kind == 1 && x < .004) c = mix(c, vec3(.35), .6);
            if ((outer_kind == 5 || outer_kind == 6) && at.z > .55 && x < .05 + (at.z - .55) * .16 + gap * .6) c *= .80;
            if (outer_kind == 5 && abs(x - .035) < .008 && abs(fract(at.z * 5.) - .5) < .06) c *= .3;
            if (outer_kind < 3 && abs(at.z - .14 - 1.1 * (x - .1)) < .008 && x > .08 && x < .14) c *= .45;
        }
        if (arm && at.x > outer_sleeve - .03) c *= .75;
        if (!arm && tail == 0. && at.z < outer_hem + .05 && outer_kind != 4) c *= .82;
        if (outer_kind == 5 && !arm && abs(at.z - .30) < .022 && mod(seed, 3.) < 1.) c *= .55;
        c = with_strap(c);
    }
    if (at.w < 1.5 && (outer_kind == 3 || outer_kind == 4 && mod(seed, 2.) < 1.)) {
        float q = arm ? at.x * 9. : at.z * 9.;
        float ring = abs(fract(q) - .5) * 2.;
        s.normal = normalize(s.normal + vec3(0, 0, (fract(q) - .5) * .9) * (1. - .5 * ring));
        c *= 1. - .45 * smoothstep(.80, 1., ring);
        s.specular = .035; s.roughness = .6;
        cloth(s, c, 9., .020);
    } else cloth(s, c, outer_kind == 7 ? 24. : 10., .028);
}
#endif

#if PART == BOTTOM
uniform vec3 bottom_colour;
uniform int bottom_kind, bottom_detail;
uniform float bottom_hem, waist;

void surface(inout Surface s) {
    if (at.y > bottom_hem && at.z < .1 || at.z > waist) discard;
    vec3 c = bottom_colour;
#ifdef WARDROBE
    if (bottom_weave == 17) c = at.z < .0 && abs(rest.y + .01) < .03 && abs(rest.x) > .12 ? bottom_ink : c;
    else c = woven(bottom_weave, vec2(rest.x, rest.z), 1. - at.y, seed, bottom_colour, bottom_ink, bottom_ink2);
#endif
    float x = abs(rest.x);
    bool low = at.z < .0, front = rest.y < .0;
    bool jeans = bottom_kind == 0;
    if (bottom_detail == 1 && jeans)
        c *= 1. + .9 * (1. - smoothstep(.02, .07, abs(x - .13))) * smoothstep(.05, .3, at.y) * smoothstep(.85, .5, at.y);
    if (bottom_detail == 2 && (bottom_kind == 3 || bottom_kind == 2 || bottom_kind == 5) && low
        && abs(rest.y + .01) < .022 && x > .12) c = vec3(.6);
    if (bottom_detail == 3 && jeans && front && abs(at.y - .52) < .025 && abs(x - .13) < .035) c = mix(c, vec3(.5, .42, .36), .7);
    if (bottom_detail == 4 && at.y > bottom_hem - .07 && low) c = mix(c * 1.5, c + .05, .5);
    if (at.y > bottom_hem - .012 && low) c *= .7;
    if (front && x < .004 && at.z > -.12) c *= .6;
    if (at.z > .135 && at.z < .18) c *= .65;
    if (jeans && x > .09 && front && abs(at.z - .06 + .5 * (x - .09)) < .008) c *= .55;
    if (jeans && !front && at.z > -.12 && at.z < .05 && abs(x - .075) < .045
        && (abs(abs(x - .075) - .042) < .004 || abs(at.z - .045) < .008)) c *= .6;
    if (bottom_kind == 2) { s.specular = .05; s.roughness = .6; cloth(s, c, 9., .008); }
    else cloth(s, c, 12., .032);
    // Creases across the knee.
    s.normal = normalize(s.normal + vec3(0, 0, .28) * sin(at.y * 85. + 5. * noise(rest * 14. + seed)) * exp(-pow((at.y - .53) / .055, 2.)));
}
#endif

#if PART == SKIRT
uniform vec3 bottom_colour, top_second;
uniform int bottom_detail, bottom_kind;
uniform float skirt_hem, waist;

void surface(inout Surface s) {
    if (at.y > skirt_hem || at.z > waist) discard;
    vec3 c = bottom_colour;
    float turn = atan(rest.x, -rest.y);
#ifdef WARDROBE
    c = woven(bottom_weave, vec2(turn * .16, rest.z), 1. - at.y, seed, bottom_colour, bottom_ink, bottom_ink2);
#endif
    if (bottom_detail == 1) c = noise(vec3(turn * 9., rest.z * 40., seed)) > .62 ? mix(c, top_second, .8) : c;
    if (bottom_detail == 4) { c *= .72 + .4 * abs(fract(turn * 5.5) - .5) * 2.; }
    if (at.y > skirt_hem - .012) c *= .75;
    s.normal = normalize(s.normal + .35 * vec3(-cos(turn), -sin(turn), 0) * sin(turn * 17. + 3. * noise(rest * 6. + seed)) * smoothstep(0., .5, at.y));
    cloth(s, c, 7., .018);
}
#endif

#if PART == SHOE
uniform vec3 shoe_colour;
uniform int shoe_kind;

void surface(inout Surface s) {
    vec3 c = shoe_colour;
    float sole = shoe_kind == 0 ? .020 : shoe_kind == 1 ? .026 : shoe_kind == 3 ? .022 : .009;
    if (at.y > .3) { // the shaft of a boot: a layer of the leg
        if (at.y < .74) discard;
        cloth(s, c, 9., .012);
        return;
    }
    if (at.z < sole) c = shoe_kind < 2 ? vec3(.55) : vec3(.03);
#ifdef WARDROBE
    if (at.z < sole && shoe_kind < 2) c = sole_colour;
#endif
    else if (shoe_kind < 2) {
        if (at.x < .62 && at.x > .28 && abs(fract(at.x * 22.) - .5) < .16 && at.z > .052) c = vec3(.6);
        if (shoe_kind == 1 && abs(at.z - .045 - .10 * (at.x - .5)) < .006) c = mix(c, vec3(.7), .8);
        if (at.x < .16 && shoe_kind == 0) c = mix(c, vec3(.6), .5);
    }
    s.specular = shoe_kind == 2 || shoe_kind == 3 ? .22 : .05;
    s.roughness = shoe_kind == 2 ? .35 : .7;
    s.albedo = c * (.88 + .24 * noise(rest * 60.));
}
#endif

#if PART == HAIR
uniform vec3 hair_colour;
uniform int hair_kind;

void surface(inout Surface s) {
    bool curly = hair_kind == 4 || hair_kind == 5;
    float strand = curly ? noise(rest * 130.) : noise(vec3(at.x * 22., at.y * 3., seed));
    float fine = curly ? noise(rest * 260.) : noise(vec3(at.x * 70., at.y * 5., seed));
    float tip = at.z > 0. ? .10 : .05;
    if (at.y > 1. - tip * (.3 + 1.4 * strand) + tip * .35) discard;
    s.albedo = hair_colour * (.45 + .6 * strand + .5 * fine);
    vec3 side = vec3(cos(at.x), sin(at.x), 0);
    s.normal = normalize(s.normal + side * (strand - .5) * (curly ? .7 : .5));
    s.occlusion *= .55 + .6 * strand;
    s.specular = (curly ? .02 : .12) * strand * strand;
    s.roughness = .75;
}
#endif

#if PART == HAT
uniform vec3 hat_colour, top_second;
uniform int hat_kind;

void surface(inout Surface s) {
    vec3 c = hat_colour;
    if (hat_kind == 1) {
        if (at.z > 0.) c *= .85;
        if (abs(fract(at.x * .955) - .5) < .035 && at.z <= 0.) c *= .8;
#ifdef WARDROBE
        if (mod(seed, 3.) < 1. && (mod(seed, 2.) < 1. ? at.z > 0. : abs(at.x) < .8 && at.z <= 0.)) c = hat_ink;
        else
#endif
        if (abs(at.x) < .28 && at.y > .42 && at.y < .66 && at.z <= 0. && mod(seed, 2.) < 1.) c = mix(top_second, vec3(.6), .5);
    }
    if (hat_kind == 2) {
        if (at.y > .74) { c *= .86; if (at.y < .77) c *= .6; }
        c *= .82 + .3 * abs(fract(at.x * 16.) - .5);
    }
    s.albedo = c;
    cloth(s, c, hat_kind > 3 ? 9. : 24., hat_kind > 3 ? .03 : .012);
}
#endif

#if PART == BAG
uniform vec3 bag_colour;

void surface(inout Surface s) {
    vec3 c = bag_colour;
#ifdef WARDROBE
    vec2 face = abs(at.y) > .9 ? at.xz : at.yz;
    if (bag_design == 1 && at.z > .45) c = bag_ink;
    if (bag_design == 2 && at.w > .5) c = bag_ink;
    if (bag_design == 3 && abs(abs(at.x) - .45) < .16) c = bag_ink;
    if (bag_design == 4 && motif(3, face * 1.4, seed) > .5) c = bag_ink;
    if (bag_design == 5) c = noise(vec3(face * 9., seed)) > .52 ? bag_ink : c;
#endif
    if (at.w > 1.5) c = vec3(.05);
    else {
        if (abs(abs(at.x) - .86) < .03 || abs(at.z - .62) < .03) c *= .55;
        if (at.w > .5) { c *= .85; if (abs(at.z - .7) < .05) c = mix(c * .4, vec3(.3), .25); }
    }
    s.albedo = c * (.82 + .36 * fbm(rest * 22. + seed));
    s.specular = .06;
    s.roughness = .6;
}
#endif

#if PART == PROP
void surface(inout Surface s) {
    if (at.w > 2.5) {
        s.albedo = vec3(.012);
        s.specular = .3;
        s.roughness = .2;
        return;
    }
    vec3 board = vec3(.30, .19, .10) * (.85 + .3 * noise(at.xyz * vec3(9, 9, 3)));
    if (abs(at.x) < .10) board = mix(board, vec3(.42, .34, .22), .7);
    s.albedo = board;
}
#endif

#if PART == SCARF
uniform vec3 scarf_colour;

void surface(inout Surface s) {
    vec3 c = scarf_colour;
    if (mod(seed, 2.) < 1. && fract(at.x * 3.) < .3) c *= 1.5;
    cloth(s, c, 24., .03);
}
#endif
