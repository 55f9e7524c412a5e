// Materials of ground, walls and street furniture. `rest` carries a tint, `at` is
// (seed, scale, variant, gloss). Colours are linear light.
vec2 wall_uv() {
    return abs(surface_normal.x) > .5 ? vec2(world.y, world.z) : vec2(world.x, world.z);
}

// 1 between the lines of a grid, 0 on them; fades out where lines are thinner than a pixel.
float grid(vec2 u, float width) {
    vec2 g = abs(fract(u) - .5), fw = fwidth(u);
    vec2 line = smoothstep(vec2(.5 - width) - fw, vec2(.5 - width) + fw * .3, g);
    return 1. - max(line.x, line.y) * clamp(1.2 - 2. * max(fw.x, fw.y), 0., 1.);
}

void windows(vec2 u, float seed, inout vec3 albedo, inout float specular, inout float glow) {
    vec2 cell = floor(u / vec2(2.4, 3.1)), g = u - cell * vec2(2.4, 3.1);
    bool shop = cell.y < .5;
    vec4 pane = shop ? vec4(.18, .35, 2.22, 2.6) : vec4(.62, .95, 1.78, 2.55);
    vec2 inside = min(g - pane.xy, pane.zw - g);
    float edge = min(inside.x, inside.y);
    if (edge < 0.) {
        if (edge > -.07) albedo = vec3(.45, .44, .42);
        if (!shop && g.y < pane.y && g.y > pane.y - .1 && inside.x > -.12) albedo = vec3(.4, .39, .37);
        return;
    }
    float lit = hash(cell + seed);
    vec3 room = mix(vec3(.05, .06, .07), vec3(.16, .14, .11), lit) * (.6 + .8 * noise(vec3(u * 1.7, seed)));
    float split = abs(g.x - .5 * (pane.x + pane.z));
    albedo = edge < .05 || split < .03 ? vec3(.16, .15, .15) : room + .07 * noise(vec3(u * .35, seed));
    if (edge >= .05 && split >= .03) {
        specular = .35;
        glow = step(shop ? .25 : .62, lit) * (lamp_colour.r > 0. ? 3.4 : 0.);
        if (glow > 0.) albedo *= vec3(1.25, 1., .7);
    }
}

void surface(inout Surface s) {
    vec3 tint = rest;
    float seed = floor(at.x * 8. + .5);  // rounded: interpolation must not stir the hash
    float scale = at.y, variant = at.z;
    vec2 g = world.xy;
    s.specular = at.w;
#if PART == 20  // stone slabs, in rows or in half bond
    vec2 u = g / scale;
    if (variant > .5) u.x += .5 * mod(floor(u.y), 2.);
    float slab = hash(floor(u) + seed);
    s.albedo = tint * (.86 + .2 * slab) * (.78 + .42 * fbm(vec3(g * 5., seed)));
    s.albedo *= .82 + .36 * fbm(vec3(g * .5, seed + 7.));
    s.albedo *= mix(.55, 1., grid(u, .012));
    float gum = noise(vec3(g * 9., seed + 3.));
    s.albedo *= 1. - .3 * smoothstep(.8, .86, gum);
#elif PART == 21  // brick, with windows when variant > 0
    vec2 u = wall_uv(), b = u * vec2(4.2, 13.);
    b.x += .5 * mod(floor(b.y), 2.);
    s.albedo = mix(vec3(.4, .38, .35), tint * (.7 + .6 * hash(floor(b) + seed)), grid(b, .06));
    s.albedo *= .75 + .5 * fbm(vec3(u * .8, seed));
    if (variant > .5) windows(u, seed, s.albedo, s.specular, s.glow);
    if (u.y < .4) s.albedo = vec3(.3, .29, .28) * (.8 + .4 * fbm(vec3(u * 3., seed)));
#elif PART == 22  // plaster, with windows when variant > 0
    vec2 u = wall_uv();
    s.albedo = tint * (.86 + .2 * fbm(vec3(u * 2., seed))) * (.9 + .2 * fbm(vec3(u.x * 3., u.y * .4, seed)));
    if (variant > .5) windows(u, seed, s.albedo, s.specular, s.glow);
    if (abs(u.y - 3.05) < .08) s.albedo = tint * .75;
    if (u.y < .45) s.albedo = vec3(.26, .25, .25) * (.8 + .4 * fbm(vec3(u * 4., seed)));
#elif PART == 23  // wood
    s.albedo = tint * (.65 + .7 * noise(vec3(world.x * 3., world.y * 28., world.z * 28.) + seed));
#elif PART == 24  // leaves
    s.albedo = tint * (.45 + 1.1 * noise(world * 9. + seed));
#elif PART == 25  // painted metal
    s.albedo = tint * (.9 + .2 * noise(world * 6. + seed));
    s.specular = max(s.specular, .15);
#elif PART == 26  // concrete
    s.albedo = tint * (.78 + .44 * fbm(world * 4. + seed)) * (.9 + .2 * noise(world * .9));
#elif PART == 27  // bark
    s.albedo = tint * (.5 + fbm(world * vec3(11, 11, 3) + seed));
#elif PART == 28  // grass and soil
    s.albedo = tint * (.5 + fbm(vec3(g * 14., seed))) * (.7 + .6 * fbm(vec3(g * .8, seed)));
#elif PART == 29  // asphalt, patched
    s.albedo = tint * (.75 + .5 * noise(vec3(g * 30., seed))) * (.75 + .5 * fbm(vec3(g * .6, seed)));
    s.albedo *= mix(1., .8, step(.62, noise(vec3(floor(g / 3.), seed))));
    float crack = abs(fbm(vec3(g * .9, seed + 4.)) - .46);
    s.albedo *= mix(.6, 1., smoothstep(.002, .012, crack));
#elif PART == 30  // glass curtain wall
    vec2 u = wall_uv() / vec2(1.5, 2.7);
    float frame = 1. - grid(u, .03);
    s.albedo = mix(tint * (.06 + .16 * hash(floor(u) + seed)) + .1 * fbm(vec3(u * 2., seed)), vec3(.25), frame);
    s.specular = .7;
    s.glow = (1. - frame) * step(.4, hash(floor(u) + seed)) * (lamp_colour.r > 0. ? 2.5 : 0.);
#elif PART == 31  // polished floor tiles
    vec2 u = g / scale;
    s.albedo = tint * (.93 + .1 * hash(floor(u) + seed)) * (.86 + .26 * fbm(vec3(g * 9., seed)));
    if (variant > .5 && mod(floor(u.x) + floor(u.y), 2.) > .5) s.albedo *= .72;
    s.albedo *= mix(.72, 1., grid(u, .008));
    s.specular = .5;
    // Ceiling panels mirrored in the polish.
    vec3 r = reflect(normalize(world - eye), vec3(0, 0, 1));
    vec2 hit = world.xy + r.xy / max(r.z, .05) * (3.6 - world.z);
    vec2 panel = abs(fract(hit / vec2(2.4, 3.6)) - .5);
    float lit = smoothstep(.26, .16, panel.x) * smoothstep(.36, .3, panel.y) * step(r.z, .95);
    s.glow = .12 * lit * pow(1. - max(r.z, 0.), 2.) / max(dot(s.albedo, vec3(.33)), .05);
#elif PART == 32  // painted wall with skirting and rail
    vec2 u = wall_uv();
    s.albedo = tint * (.93 + .12 * fbm(vec3(u * 1.5, seed)));
    if (variant > .5 && u.y < 1.1) s.albedo *= vec3(.62, .66, .7);
    if (u.y < .12 || (variant > .5 && abs(u.y - 1.12) < .03)) s.albedo = vec3(.13);
#elif PART == 33  // suspended ceiling
    s.albedo = tint * mix(.7, 1., grid(g / .6, .02));
#elif PART == 34  // light source
    s.albedo = tint;
    s.glow = scale;
#elif PART == 35  // poster or sign: blocks of colour
    vec2 u = wall_uv() * 3. / scale;
    float k = hash(floor(u * vec2(1., 1.6)) + seed);
    s.albedo = k < .45 ? tint : k < .75 ? tint.brg * .7 : vec3(.75, .74, .7);
    s.albedo *= .8 + .4 * step(.3, noise(vec3(u * 6., seed)));
#else  // plain paint or plastic
    s.albedo = tint * (.92 + .16 * noise(world * 5. + seed));
#endif
}
