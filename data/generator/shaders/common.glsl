// Shared head of every fragment program: what the vertex stage hands over, and noise.
in vec3 world;
in vec3 surface_normal;
in vec3 rest;
in vec4 at;
in float ambient_in;

struct Surface {
    vec3 albedo;      // linear colour
    vec3 normal;      // unit length, towards the viewer
    float roughness;  // 0 mirror, 1 chalk: narrows or widens the highlight
    float specular;   // strength of the highlight
    float occlusion;  // share of open sky, 1 = all of it
    float glow;       // light of its own, in multiples of its albedo
    bool twosided;
};

uniform vec3 eye;
uniform sampler3D noise_texture;

float noise(vec3 p) { return texture(noise_texture, p / 32.).r; }

float fbm(vec3 p) { return .5 * noise(p) + .25 * noise(p * 2.1 + .3) + .18 * noise(p * 4.3 + .7); }

float hash(vec2 p) { return fract(sin(dot(p, vec2(12.9898, 78.233))) * 43758.5453); }

// Tilt a normal by the slope of noise at rest position p; the slope is taken from neighbouring
// pixels (Mikkelsen 2010), which costs a quarter of sampling the noise along three axes.
vec3 bump(vec3 n, vec3 p, float frequency, float strength) {
    float height = strength * fbm(p * frequency);
    vec3 across = dFdx(world), up = dFdy(world);
    vec3 a = cross(up, n), b = cross(n, across);
    float area = dot(across, a);
    vec3 slope = sign(area) * (dFdx(height) * a + dFdy(height) * b);
    return normalize(max(abs(area), 1e-9) * n - slope);
}

// The surface before its material has a say: faces are two-sided, so what looks away is mirrored.
Surface plain_surface(vec3 view) {
    vec3 n = normalize(surface_normal);
    n -= 2. * min(dot(n, view), 0.) * view;
    return Surface(vec3(.5), n, .9, .03, ambient_in, 0., true);
}

float highlight(Surface s, vec3 view, vec3 light) {
    return s.specular * pow(max(dot(s.normal, normalize(view + light)), 0.), mix(90., 12., s.roughness));
}
